//! What a guest leaves in a mailbox: any words.
#![no_main]

use barkeep_probe::Command;

libfuzzer_sys::fuzz_target!(|input: ([u64; 8], [u64; 16])| {
    if let Ok(command) = Command::decode(&input.0) {
        let _ = command.decode_reply(&input.1);
    }
});

//! A journal in shared memory, which a guest could scribble over: any bytes behind a header.
#![no_main]

use barkeep_journal::{Clock, Journal, Lane, Reader, layout};
use std::os::unix::fs::FileExt;

const RECORDS: usize = 8;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok((_journal, file)) = Journal::in_memory(RECORDS, Lane::Lab, Clock::Virtual) else { return };
    let size = layout::HEADER_SIZE + RECORDS * layout::RECORD_SIZE;
    let (head, records) = bytes.split_at(bytes.len().min(48));
    let _ = file.write_at(head, 0);
    let _ = file
        .write_at(&records[..records.len().min(RECORDS * layout::RECORD_SIZE)], layout::HEADER_SIZE as u64);
    if let Ok(mut reader) = Reader::open(file, size) {
        for _ in 0..4 * RECORDS {
            if reader.next_after_death().is_none() {
                break;
            }
        }
    }
});

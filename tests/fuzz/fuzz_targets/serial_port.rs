//! A guest at the serial port, and somebody who types: any accesses. What is typed arrives in its order or
//! is lost where a 16550 loses it; nobody waits for ever.
#![no_main]

use barkeep_platform::console::{Console, Ends};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

libfuzzer_sys::fuzz_target!(|input: (bool, Vec<(u8, u8, Vec<u8>)>)| {
    let (wired, accesses) = input;
    let raised = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&raised);
    let line: barkeep_platform::console::Line = Box::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let console = Console::new(Ends { output: Box::new(std::io::sink()), line: wired.then_some(line) });
    // Nobody waits for a guest that does not read: it is this thread.
    console.close();
    for (what, value, text) in accesses {
        match what % 4 {
            0 => console.write(what >> 2, value),
            1 | 2 => {
                let _ = console.read(what >> 2);
            }
            _ => assert!(!console.type_in(&text)),
        }
    }
    assert!(wired || raised.load(Ordering::Relaxed) == 0);
});

//! Another thread that takes the emulated machine's only CPU at moments nobody else chose: whoever has
//! it loses it, in the middle of a system call too, where the kernel can be preempted.
//!
//! Its moments are drawn, and time in the lab depends on nothing outside: the same draws, the same run.
#![allow(unsafe_code, reason = "a thread's scheduling policy has no safe form")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Gives how long the CPU is left alone next, and how long it is then kept.
pub type Draw = Box<dyn FnMut() -> (Duration, Duration) + Send>;

/// The thread; dropped, it ends.
pub struct Noise {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Noise {
    /// Begins with it.
    ///
    /// # Errors
    /// EPERM without the right to run before all others; no thread to be had.
    pub fn start(mut draw: Draw) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, stopped) = (std::sync::mpsc::sync_channel(1), Arc::clone(&stop));
        let (tell, told) = told;
        let make_noise = move || {
            // Only fails if nobody wants to know any more.
            let _ = tell.send(go_first());
            while !stopped.load(Ordering::Relaxed) {
                let (alone, kept) = draw();
                std::thread::sleep(alone);
                let since = Instant::now();
                while since.elapsed() < kept {
                    std::hint::spin_loop();
                }
            }
        };
        let thread = std::thread::Builder::new().name("noise".into()).spawn(make_noise)?;
        let noise = Self { stop, thread: Some(thread) };
        told.recv().map_err(io::Error::other)??;
        Ok(noise)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own.
            let _ = thread.join();
        }
    }
}

/// The calling thread runs before every ordinary one, and until it sleeps.
fn go_first() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: `lowest` lives as long as the call, which only reads it; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &lowest) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn it_asks_again_and_again_until_it_is_dropped() {
        let asked = Arc::new(AtomicU32::new(0));
        let own = Arc::clone(&asked);
        let draw = move || {
            own.fetch_add(1, Ordering::Relaxed);
            (Duration::from_micros(10), Duration::from_micros(1))
        };
        match Noise::start(Box::new(draw)) {
            Ok(noise) => {
                while asked.load(Ordering::Relaxed) < 10 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                drop(noise);
                assert_eq!(Arc::strong_count(&asked), 1, "its thread is gone");
            }
            // Whether it may is the machine's affair.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
    }
}

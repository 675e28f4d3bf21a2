//! The importer as a second process beside a VMM. It journals nothing while the VMM is there, who does;
//! when the VMM is gone without a word it looks what has become of its mapping, and then ends.

use super::importer::Importer;
use super::{Player, ProcessError};
use crate::step::ImporterStep;
use crate::talk::{Ask, hear, say};
use barkeep_export::{Errno, Imported, Importing};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_model::Answer;
use rustix::process::getppid;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::Duration;

/// How long a process that is dying may take: each device it closes may be reset, 60 s at the most.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS: u32 = 120_000;
const AFTERWARDS: Duration = Duration::from_millis(50);

/// Does what it is told, until that is to exit, or until who tells it is gone.
pub(super) fn serve(
    conductor: &OwnedFd,
    other: OwnedFd,
    journal: Option<&Journal>,
) -> Result<(), ProcessError> {
    let parent = getppid();
    // Never dropped: what it holds is the kernel's to take away, at the end of the process.
    let player = ManuallyDrop::new(Own(RefCell::new(Importer::new(other))));
    let mut imported = None;
    while let Some(asked) = hear::<Ask>(conductor).map_err(ProcessError::Conductor)? {
        let answer = match &asked {
            Ask::Exit => return Ok(()),
            Ask::Outlives { device, bar, address, size } => {
                let device =
                    device.parse().map_err(|_| ProcessError::Conductor(barkeep_model::Errno::EINVAL))?;
                imported = Some(Imported { device, bar: *bar, address: *address, size: *size });
                Answer::Ok(0)
            }
            _ => player.0.borrow_mut().play(&asked).map_or(Answer::Idle, Answer::from),
        };
        if say(conductor, &answer).is_err() {
            break;
        }
    }
    // Its sockets may be closed before its devices are: it gets another parent after both.
    for _ in 0..LOOKS {
        if getppid() != parent {
            break;
        }
        sleep(LOOK);
    }
    // Whoever watched over the VMM tells of its death first, and children of it let their files go.
    sleep(AFTERWARDS);
    if let (Some(journal), Some(imported)) = (journal, imported) {
        let event = Event::new(Kind::Process, Actor::Importer).text("second, outliving the VMM");
        let lifetime = journal.begin(event);
        imported.outlive(journal, &*player);
        journal.end_with(lifetime, |event| event.text("exit").result(0));
    }
    Ok(())
}

/// The importer, asked by itself.
struct Own(RefCell<Importer>);

impl Importing for Own {
    fn import(&self) -> Result<(), Errno> {
        self.step(ImporterStep::Map).map(drop)
    }

    fn unmap(&self) -> Result<u64, Errno> {
        self.step(ImporterStep::Unmap)
    }

    fn drop_buffer(&self) -> Result<(), Errno> {
        self.step(ImporterStep::CloseBuffer).map(drop)
    }
}

impl Own {
    fn step(&self, step: ImporterStep) -> Result<u64, Errno> {
        let played = self.0.borrow_mut().play(&Ask::Importer(step)).ok_or(Errno::BADF)?;
        played.map_err(|errno| Errno::from_raw_os_error(errno.number()))
    }
}

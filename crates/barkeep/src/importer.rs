//! Importing devices beside a VM, in lanes with a kernel: those of the test importer's module.

use crate::cli::DeviceOption;
use crate::exit::{Exit, UsageExt, wrong};
use barkeep_export::{DrivenImporter, Errno, Happened, Happening, Importers, WindowId};
use barkeep_journal::DeviceAddress;
use barkeep_model::Errno as Number;
use barkeep_real::importer::{
    self, Attachment, Engine, Event, EventKind, Form, Limits, Manner, Session, WhenTold,
};
use barkeep_scenario::Scenario;
use barkeep_vfio::Space;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Refuses a scenario whose importing devices are simulated: none is.
///
/// # Errors
/// Status 2, with where they are.
pub fn has_kernel(scenario: &Scenario) -> anyhow::Result<()> {
    let Some(name) = scenario.importers().first().copied() else { return Ok(()) };
    let what = format!(
        "the scenario `{}` has `{name}` import by a driver of the kernel's, and no simulated machine has one: take \
         --lane lab (with scripts/kernel --importer), or host",
        scenario.name
    );
    Err(wrong(Exit::Usage, what))
}

/// Refuses a scenario whose importing devices are not there: without the module, with one of another version, or
/// bound to another driver.
///
/// # Errors
/// Status 2, with what to do.
pub fn are_there(scenario: &Scenario, others: &[DeviceOption]) -> anyhow::Result<()> {
    for name in scenario.importers() {
        let with = || format!("the scenario `{}` has `{name}` import", scenario.name);
        importer::offered().usage(with())?;
        let Some(device) = others.iter().find(|other| other.name == name) else { continue };
        let driver = format!("/sys/bus/pci/devices/{}/driver", device.address);
        let driver = std::fs::read_link(driver).ok();
        let driver = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        if driver.as_deref() != Some(importer::DRIVER) {
            let bound = driver.map_or("no driver".to_owned(), |driver| format!("the driver `{driver}`"));
            let what = format!(
                "{}, and {} has {bound}: bind it to `{}` (driver_override in sysfs; in a topology, `bind`)",
                with(),
                device.address,
                importer::DRIVER
            );
            return Err(wrong(Exit::Usage, what));
        }
    }
    Ok(())
}

/// Hands them dma-bufs of this space.
pub struct ModuleImporters(pub Arc<Space>);

impl Importers for ModuleImporters {
    fn attach(
        &self,
        window: WindowId,
        engine: DeviceAddress,
        hold: Duration,
    ) -> Result<Arc<dyn DrivenImporter>, Errno> {
        let buffer = self.0.buffer(window)?;
        let when_told = match hold.as_millis() {
            0 => WhenTold::LetGo,
            milliseconds => WhenTold::Hold(milliseconds.try_into().map_err(|_| Errno::INVAL)?),
        };
        let session = Session::open(engine, Limits::NONE).map_err(errno)?;
        let works = Engine::of(engine, &session).map_err(errno)?.ok_or(Errno::INVAL)?;
        let attachment = session.attach(&buffer, Manner::peer(when_told)).map_err(errno)?;
        Ok(Arc::new(Driven { attachment, engine: works, next: AtomicU64::new(0) }))
    }
}

/// One that is attached.
struct Driven {
    attachment: Attachment,
    engine: Engine,
    /// The event that nobody has asked for yet.
    next: AtomicU64,
}

impl DrivenImporter for Driven {
    fn map(&self) -> Result<u64, Errno> {
        self.attachment.map(Form::Table).map_err(errno)?;
        match self.attachment.segments(false) {
            Ok(segments) => segments.first().map(|segment| segment.address).ok_or(Errno::IO),
            // It was told in between, and has let go.
            Err(Number::ENOLINK) => Err(Errno::NODEV),
            Err(number) => Err(errno(number)),
        }
    }

    fn fault_in(&self) -> Result<u64, Errno> {
        self.attachment.use_at(0).map(|(address, _)| address).map_err(errno)
    }

    fn unmap(&self) -> Result<(), Errno> {
        self.attachment.unmap().map_err(errno)
    }

    fn pin(&self) -> Result<(), Errno> {
        self.attachment.pin().map_err(errno)
    }

    fn unpin(&self) -> Result<(), Errno> {
        self.attachment.unpin().map_err(errno)
    }

    fn happened(&self) -> Result<Vec<Happened>, Errno> {
        let next = self.next.load(Ordering::Relaxed);
        match self.attachment.events(next) {
            Ok(events) => {
                self.next.store(next + events.len() as u64, Ordering::Relaxed);
                Ok(events.into_iter().map(happened).collect())
            }
            Err(number) => {
                let events = self.attachment.state().map_err(errno)?.events;
                self.next.store(events, Ordering::Relaxed);
                Err(errno(number))
            }
        }
    }

    fn dma_start(&self, address: u64, word: u32) -> Result<(), Errno> {
        self.engine.start(address, word).map_err(errno)
    }

    fn dma_finish(&self) -> Result<(), Errno> {
        self.engine.finish().map_err(errno)
    }
}

fn happened(event: Event) -> Happened {
    let what = match event.kind {
        EventKind::Mapped(result) => Happening::Mapped(result.map_err(errno)),
        EventKind::Notice => Happening::Told,
        EventKind::Released => Happening::LetGo,
        EventKind::Held => Happening::Held,
        EventKind::Unmapped => Happening::Unmapped,
    };
    Happened { time_ns: event.time, what }
}

fn errno(number: Number) -> Errno {
    Errno::from_raw_os_error(number.number())
}

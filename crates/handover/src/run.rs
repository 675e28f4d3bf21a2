//! Many orders, one after the other, on the running kernel; a line for each.

use crate::conductor::{ConductError, Conductor};
use crate::orders::{self, Extent, Impossible};
use crate::spec::{Fate, Spec, SpecError};
use crate::step::Order;
use crate::window::{NoWindow, Window};
use barkeep_journal::Journal;
use barkeep_model::{Profile, Subject};
use barkeep_real::{Executor, Place, SetupError};
use barkeep_vfio::FaultLog;
use std::io::{self, Write};

/// Which orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// As many as there are.
    Extent(Extent),
    /// This one.
    One(Order),
}

/// What is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which orders.
    pub which: Which,
    /// How many of them are left out, from the first on: done in another boot.
    pub skip: usize,
    /// How many are done at the most.
    pub take: usize,
    /// The kernel's profile; without one that of the running kernel's release.
    pub profile: Option<Profile>,
}

/// Why nothing, or not all of it, was carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The devices cannot be used.
    #[error(transparent)]
    Devices(#[from] SetupError),
    /// They are not the ones this needs.
    #[error(transparent)]
    Window(#[from] NoWindow),
    /// The specification says nothing of them.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is no specification of this kernel.
    #[error("no profile for the kernel {0}; name one with --profile")]
    Profile(String),
    /// The order cannot be.
    #[error("the order `{0}` cannot be carried out")]
    Order(Order, #[source] Impossible),
    /// The testbed failed.
    #[error("in the order `{0}`")]
    Conduct(Order, #[source] ConductError),
    /// The first of all could not begin.
    #[error(transparent)]
    Start(ConductError),
    /// The kernel's log.
    #[error("cannot read the kernel's log")]
    Log(#[source] io::Error),
    /// What was seen cannot be told.
    #[error("cannot write")]
    Write(#[from] io::Error),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Orders there are.
    pub orders: usize,
    /// Those carried out.
    pub done: usize,
    /// Those that did not go as specified.
    pub wrong: usize,
    /// Steps in all.
    pub steps: usize,
    /// DMAs that landed, that the IOMMU's log has a fault of, that are gone.
    pub dmas: [usize; 3],
}

/// Carries orders out on the devices at these places, which nobody has open, and writes a line for
/// each.
///
/// # Errors
/// See [`RunError`]. An order that goes otherwise than specified is none.
pub fn run(
    request: &Request,
    places: &[Place],
    journal: &Journal,
    out: &mut impl Write,
) -> Result<Sum, RunError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let profile = request.profile.or_else(|| Profile::of_release(&release));
    let profile = profile.ok_or(RunError::Profile(release))?;
    let hardware = {
        let mut executor = Executor::new(places)?;
        executor.begin();
        executor.hardware().clone()
    };
    let window = Window::of(&hardware)?;
    let start = Spec::new(&hardware, window, profile)?;
    let orders = match &request.which {
        Which::Extent(extent) => {
            let orders = orders::orders(&start, *extent);
            orders.into_iter().map(|(theme, order)| (Some(theme), order)).collect()
        }
        Which::One(order) => {
            orders::check(&start, order).map_err(|why| RunError::Order(order.clone(), why))?;
            vec![(None, order.clone())]
        }
    };
    let address = |number: usize| {
        let name = &hardware.devices[number].name;
        // The hardware was found at these places, each by its name.
        places.iter().find(|place| place.name == *name).map(|place| place.address)
    };
    let devices = address(window.target).zip(address(window.engine)).ok_or(NoWindow::NoTarget)?;
    let faults = Box::new(FaultLog::open().map_err(RunError::Log)?);
    let mut conductor =
        Conductor::new(start, window, devices, journal.clone(), faults).map_err(RunError::Start)?;
    let mut sum = Sum { orders: orders.len(), ..Sum::default() };
    let mut told = None;
    for (theme, order) in orders.iter().skip(request.skip).take(request.take) {
        if let Some(theme) = theme.filter(|theme| told != Some(*theme)) {
            writeln!(out, "{}", theme.heading())?;
            told = Some(theme);
        }
        let outcome = conductor.order(order).map_err(|error| RunError::Conduct(order.clone(), error))?;
        sum.done += 1;
        sum.wrong += usize::from(!outcome.passed());
        sum.steps += outcome.steps();
        for (count, fate) in sum.dmas.iter_mut().zip([Fate::Landed, Fate::Faulted, Fate::Away]) {
            *count += outcome.count(fate);
        }
        writeln!(out, "{outcome}")?;
    }
    Ok(sum)
}

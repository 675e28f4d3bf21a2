//! One run of a VM, from the first event to the last. The same in every lane with real vCPUs;
//! whose devices they get, and who reads the journal, differs.

use crate::assemble::{self, Named};
use crate::assemble_sim::{self, SimSupply};
use crate::assemble_vfio::{self, VfioSupply};
use crate::cast;
use crate::cli::{DeviceOption, DeviceWord, RunOptions};
use crate::control::{self, Endpoint};
use crate::event_loop::{self, EventLoop, Woken};
use crate::exit::{self, Exit, UsageExt, Wrong, wrong};
use crate::guest;
use crate::importer;
use crate::kernel_trace;
use crate::leftovers;
use crate::model;
use crate::noise;
use crate::notices::Notices;
use crate::sandbox;
use crate::version;
use crate::world::VmWorld;
use anyhow::Context;
use barkeep_boot::Guest;
use barkeep_journal::{Actor, Event, Journal, Kind, Lane};
use barkeep_platform::Board;
use barkeep_probe::{IMAGE, ServedOptions};
use barkeep_sandbox::Sandbox;
use barkeep_scenario::nearest::{nearest, with_suggestion};
use barkeep_scenario::{RunError, Scenario};
use barkeep_sim::{HostClock, Named as SimNamed, Punctual, SimHost};
use barkeep_vfio::Space;
use barkeep_vmm::vcpu::VcpuEnd;
use barkeep_vmm::{Machine, MachineError, Parts, ProbeLink, Shell};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is to be done with what, as far as words alone tell.
pub struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// Its devices.
    pub devices: Devices,
    /// Devices that are not in the VM, and which the scenario's administrator acts on.
    pub others: Vec<DeviceOption>,
    /// What is booted instead of the probe.
    pub guest: Option<Guest>,
    /// Where somebody outside finds the simulated devices while it goes on.
    pub live: Live,
}

/// The simulated devices of a run, while there is one.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<Weak<SimHost>>>);

impl Live {
    /// These are they.
    pub fn is(&self, host: &Arc<SimHost>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(host);
    }

    /// They, if there are any now.
    pub fn get(&self) -> Option<Arc<SimHost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

impl Plan {
    /// Those of its simulated devices that are in the VM.
    pub fn in_vm(&self, simulated: &[SimNamed]) -> Vec<DeviceOption> {
        let mut options = assemble_sim::options(simulated);
        options.retain(|option| self.others.iter().all(|other| other.address != option.address));
        options
    }
}

/// The devices of a VM, all of one sort.
pub enum Devices {
    /// Of this machine.
    Real(Vec<DeviceOption>),
    /// Simulated.
    Simulated(Vec<SimNamed>),
}

/// Carries a plan out on a VM with real vCPUs; gives how it ended.
///
/// # Errors
/// The VM cannot be made or run.
pub fn run(mut plan: Plan, options: &RunOptions, journal: &Journal) -> anyhow::Result<Exit> {
    let guest = plan.guest.take();
    framed(&plan.scenario, journal, || match &plan.devices {
        Devices::Real(devices) => with_real(options, &plan, guest, devices, journal),
        Devices::Simulated(devices) => with_simulated(options, &plan, guest, devices, journal),
    })
}

/// The first and the last events of a run, whatever is between them.
///
/// # Errors
/// Those of `run`.
pub fn framed(
    scenario: &Scenario,
    journal: &Journal,
    run: impl FnOnce() -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    let version = version::told();
    journal.emit(Event::new(Kind::RunStart, Actor::Vmm).text(format!("{version}: {}", scenario.name)));
    let before = leftovers::Before::now(journal.lane());
    let result = run();
    leftovers::count(journal, &before);
    let exit = match &result {
        Ok(exit) => *exit,
        Err(error) => {
            journal.emit(
                Event::new(Kind::Degraded, Actor::Vmm).text(format!("the run failed: {}", exit::told(error))),
            );
            Exit::of(error)
        }
    };
    journal.emit(Event::new(Kind::RunEnd, Actor::Vmm).result(exit.code().into()));
    result
}

/// What random times are drawn from: the command line's seed, or the scenario's own.
pub fn seed(options: &RunOptions, scenario: &Scenario) -> u64 {
    options.seed.or(scenario.seed).unwrap_or(model::SEED)
}

/// The scenario and the devices, as far as words alone tell.
///
/// # Errors
/// The scenario cannot be read or is none; a device is missing or named twice.
pub fn plan(options: &RunOptions, lane: Lane) -> anyhow::Result<Plan> {
    planned(options.load_scenario()?, options, lane)
}

/// The same for this scenario, whatever the options name.
///
/// # Errors
/// A device is missing or named twice.
pub fn planned(scenario: Scenario, options: &RunOptions, lane: Lane) -> anyhow::Result<Plan> {
    let (mut real, mut simulated) = (Vec::new(), Vec::new());
    for device in options.devices.iter().cloned() {
        match device {
            DeviceWord::Real(device) => real.push(device),
            DeviceWord::Simulated(device) => simulated.push(device),
        }
    }
    kernel_trace::is_for(options, lane)?;
    let guest = options.guest.read(options.vcpus(&scenario))?;
    if guest.is_some() && lane == Lane::Model {
        return Err(wrong(Exit::Usage, "--guest needs real vCPUs, and lane model has none: --lane kvm"));
    }
    match lane {
        Lane::Lab | Lane::Host => {
            if lane == Lane::Host && scenario.kills_vmm() {
                let what = format!(
                    "the scenario `{}` kills the VMM, and with it in lane host who reads the journal; take --lane \
                     lab, or kvm or model, where it is simulated",
                    scenario.name
                );
                return Err(wrong(Exit::Usage, what));
            }
            let there = there()?;
            let others = real_others(&options.others, &there, &scenario)?;
            importer::are_there(&scenario, &others)?;
            let devices = Devices::Real(real_devices(real, there, &scenario, guest.is_some())?);
            Ok(Plan { scenario, devices, others, guest, live: Live::default() })
        }
        Lane::Kvm | Lane::Model => {
            importer::has_kernel(&scenario)?;
            let spare: Vec<String> = scenario.second_engines().into_iter().map(str::to_owned).collect();
            let is_spare = |name: &str| spare.iter().any(|spare| spare == name);
            if let Some(other) = scenario.others().into_iter().find(|name| !is_spare(name)) {
                let what = format!(
                    "the scenario `{}` acts on `{other}`, which is not in the VM: simulated machines have no \
                     such devices",
                    scenario.name
                );
                return Err(wrong(Exit::Usage, what));
            }
            let (own, simulated) = simulated
                .into_iter()
                .partition::<Vec<_>, _>(|option| option.name.as_deref().is_some_and(is_spare));
            let mut devices = cast::cast(&simulated, &scenario)?;
            let in_vm = devices.len();
            for name in &spare {
                devices.push(cast::second_engine(name, &own, &scenario)?);
            }
            let others = assemble_sim::options(&devices).split_off(in_vm);
            let (devices, live) = (Devices::Simulated(devices), Live::default());
            Ok(Plan { scenario, devices, others, guest, live })
        }
    }
}

/// The devices of the topology, inside the lab.
fn there() -> anyhow::Result<Vec<DeviceOption>> {
    let named = std::env::var("BARKEEP_DEVICES").unwrap_or_default();
    let parsed: Result<Vec<DeviceOption>, _> = named.split_whitespace().map(str::parse).collect();
    parsed.map_err(|error| anyhow::anyhow!("BARKEEP_DEVICES: {error}"))
}

/// The devices beside the VM that the scenario acts on.
fn real_others(
    asked: &[DeviceOption],
    there: &[DeviceOption],
    scenario: &Scenario,
) -> anyhow::Result<Vec<DeviceOption>> {
    let find = |name: &str| {
        let found = asked.iter().chain(there).find(|device| device.name == name).cloned();
        found.ok_or_else(|| {
            let what = format!(
                "the scenario `{}` acts on `{name}`, which is not in the VM; name it with --other {name}=BDF",
                scenario.name
            );
            let names = asked.iter().chain(there).map(|device| device.name.as_str());
            wrong(Exit::Usage, with_suggestion(what, nearest(name, names)))
        })
    };
    scenario.others().into_iter().map(find).collect()
}

/// The devices of the command line, or, inside the lab, those of the topology.
fn real_devices(
    asked: Vec<DeviceOption>,
    there: Vec<DeviceOption>,
    scenario: &Scenario,
    is_guest: bool,
) -> anyhow::Result<Vec<DeviceOption>> {
    if !asked.is_empty() {
        return unique(asked);
    }
    let wanted = scenario.devices();
    if is_guest {
        return Ok(there);
    }
    if there.is_empty() && !wanted.is_empty() {
        let what = format!(
            "no devices: the scenario `{}` needs {}; name them with --device NAME=BDF, or use --lane lab or \
             --lane kvm",
            scenario.name,
            wanted.join(", ")
        );
        return Err(wrong(Exit::Usage, what));
    }
    let names: Vec<&str> = there.iter().map(|device| device.name.as_str()).collect();
    if let Some(missing) = wanted.iter().find(|name| !names.contains(name)) {
        let what = format!(
            "the scenario `{}` names a device `{missing}`; the topology has {}",
            scenario.name,
            names.join(", ")
        );
        return Err(wrong(Exit::Usage, with_suggestion(what, nearest(missing, &names))));
    }
    let devices = there.into_iter().filter(|device| wanted.contains(&device.name.as_str())).collect();
    Ok(devices)
}

fn unique(devices: Vec<DeviceOption>) -> anyhow::Result<Vec<DeviceOption>> {
    for (n, device) in devices.iter().enumerate() {
        let before = &devices[..n];
        if before.iter().any(|other| other.address == device.address || other.name == device.name) {
            return Err(wrong(Exit::Usage, format!("--device {} is given twice", device.address)));
        }
    }
    Ok(devices)
}

fn with_real(
    options: &RunOptions,
    plan: &Plan,
    guest: Option<Guest>,
    devices: &[DeviceOption],
    journal: &Journal,
) -> anyhow::Result<Exit> {
    sandbox::may_pin(options, &plan.scenario, devices.len())?;
    kernel_trace::around(options, journal, |journal| with_real_traced(options, plan, guest, devices, journal))
}

fn with_real_traced(
    options: &RunOptions,
    plan: &Plan,
    guest: Option<Guest>,
    devices: &[DeviceOption],
    journal: &Journal,
) -> anyhow::Result<Exit> {
    let scenario = &plan.scenario;
    let confined = sandbox::prepare(options, journal)?;
    let endpoint = control::listen(options.control.as_deref())?;
    let (faults, log) = assemble_vfio::open_fault_log(journal).unzip();
    let has_devices = !devices.is_empty() || guest.is_none();
    let ram = Arc::new(options.ram(scenario, has_devices)?);
    let space = Space::new(options.sharing(scenario)).usage("no I/O address space")?;
    let mut shell = Shell::new(&ram).usage("no virtual machine")?;
    if guest.is_some() {
        shell.expect_interrupts(journal);
    }
    let supply = VfioSupply::new(space, &shell, !scenario.importers().is_empty())?;
    let named = Named { devices, others: &plan.others };
    let board = Arc::new(assemble::assemble(&supply, ram, named, options.p2p, faults, journal)?);
    sandbox::confine(&confined)?;
    let notices = Notices::start(&board, supply.into_signals(), log, &confined)?;
    if let Some(guest) = guest {
        let vcpus = options.vcpus(scenario);
        let result = guest::run(shell, board, guest, vcpus, endpoint, &confined);
        drop(notices);
        return result;
    }
    let around = Around { clock: None, notices: Some(notices), endpoint, confined };
    run_machine(shell, board, options, scenario, around)
}

fn with_simulated(
    options: &RunOptions,
    plan: &Plan,
    guest: Option<Guest>,
    devices: &[SimNamed],
    journal: &Journal,
) -> anyhow::Result<Exit> {
    let scenario = &plan.scenario;
    let confined = sandbox::prepare(options, journal)?;
    let endpoint = control::listen(options.control.as_deref())?;
    let ram = Arc::new(options.ram(scenario, true)?);
    let mut shell = Shell::new(&ram).usage("no virtual machine")?;
    if guest.is_some() {
        shell.expect_interrupts(journal);
    }
    let clock = Arc::new(HostClock::default());
    let host = SimHost::new(devices, clock.clone()).usage("no simulated devices")?;
    plan.live.is(&host);
    let alone = sandbox::mode(options) != barkeep_sandbox::Mode::Off;
    let begin = move || {
        if alone {
            sandbox::shed()
        }
    };
    let punctual = Punctual::start(&host, begin).context("cannot start the engines' thread")?;
    let supply = SimSupply::new(&host, shell.slots());
    let (devices, faults) = (plan.in_vm(devices), assemble_sim::faults(&host));
    let named = Named { devices: &devices, others: &plan.others };
    let board = Arc::new(assemble::assemble(&supply, ram, named, options.p2p, faults, journal)?);
    sandbox::confine(&confined)?;
    let result = match guest {
        Some(guest) => {
            let vcpus = options.vcpus(scenario);
            guest::run(shell, Arc::clone(&board), guest, vcpus, endpoint, &confined)
        }
        None => {
            let around = Around { clock: Some(clock), notices: None, endpoint, confined };
            run_machine(shell, Arc::clone(&board), options, scenario, around)
        }
    };
    assemble_sim::bury(&board, &host);
    drop(punctual);
    assemble_sim::count_leftovers(&host, journal);
    result
}

/// Makes the machine, paused. If it cannot be, its board is taken apart: nobody else will.
///
/// # Errors
/// See [`MachineError`].
pub fn start(shell: Shell, parts: Parts, guest: &Guest) -> Result<Arc<Machine>, MachineError> {
    let board = Arc::clone(&parts.board);
    let machine = shell.start(parts, guest).inspect_err(|_| board.take_apart());
    machine.map(Arc::new)
}

/// What is around a machine.
struct Around {
    /// That of simulated devices.
    clock: Option<Arc<HostClock>>,
    /// What the kernel tells of real ones.
    notices: Option<Notices>,
    /// The control socket, if one was asked for.
    endpoint: Option<Endpoint>,
    /// What confines its threads.
    confined: Arc<Sandbox>,
}

/// Runs the scenario on a machine of real vCPUs, whatever its devices are, and gives
/// everything back.
fn run_machine(
    shell: Shell,
    board: Arc<Board>,
    options: &RunOptions,
    scenario: &Scenario,
    around: Around,
) -> anyhow::Result<Exit> {
    let Around { clock, notices, endpoint, confined } = around;
    let vcpus = options.vcpus(scenario);
    let link = Arc::new(ProbeLink::new(Arc::clone(board.ram()), usize::from(vcpus)));
    let cmdline = ServedOptions { cpus: usize::from(vcpus), ..ServedOptions::default() }.to_string();
    let parts = Parts {
        board: Arc::clone(&board),
        probe: Some(Arc::clone(&link)),
        vcpus,
        console: Box::new(std::io::stderr()),
        confine: sandbox::of_vcpus(&confined),
    };
    let probe = Guest { kernel: IMAGE.to_vec(), cmdline, ..Guest::default() };
    let machine = start(shell, parts, &probe).context("cannot start the virtual machine")?;
    let world = VmWorld::new(Arc::clone(&board), link, Arc::clone(&machine), probe, clock);
    let seed = seed(options, scenario);
    let noise = noise::start(scenario, seed, board.journal())?;
    let result = run_scenario(scenario, seed, &world, endpoint, &confined);
    drop(noise);
    drop(world);
    let ends = machine.stop();
    // Nobody else acts on the devices from here on.
    drop(notices);
    if board.is_killed() {
        board.abandon()
    } else {
        board.take_apart()
    }
    match result? {
        (_, Some(result)) => verdict(result, &ends),
        (_, None) => Ok(Exit::Interrupted),
    }
}

/// Runs the scenario on a thread of its own; `None` if a signal, or a word on the control socket, ended it
/// first. Whoever waits for the end there is told when the loop is dropped.
fn run_scenario(
    scenario: &Scenario,
    seed: u64,
    world: &VmWorld,
    endpoint: Option<Endpoint>,
    confined: &Arc<Sandbox>,
) -> anyhow::Result<(EventLoop, Option<Result<(), RunError>>)> {
    let done = event_loop::event()?;
    let told = done.try_clone().context("cannot make an event")?;
    let mut events = EventLoop::of(done, &world.board, &world.machine, endpoint, confined)?;
    world.machine.resume();
    let result = std::thread::scope(|scope| {
        let runner = scope.spawn(move || {
            let result = barkeep_scenario::run(scenario, world, seed);
            // Only fails when it is readable already.
            let _ = told.write(1);
            result
        });
        let woken = events.wait();
        if !matches!(woken, Ok(Woken::Done)) {
            // Whatever the scenario waits for now fails, and it comes to its end.
            world.link.hang_up();
        }
        let result = runner.join().map_err(|_| anyhow::anyhow!("the scenario's thread panicked"))?;
        match woken? {
            Woken::Done | Woken::VcpuEnded => Ok(Some(result)),
            Woken::Signal | Woken::Quit => anyhow::Ok(None),
        }
    });
    events.finish_control();
    Ok((events, result?))
}

/// How a scenario that was carried out ends its run.
///
/// # Errors
/// It was not carried out to its end.
pub fn verdict(result: Result<(), RunError>, ends: &[VcpuEnd]) -> anyhow::Result<Exit> {
    match result {
        Err(error) if error.is_input() => {
            Err(anyhow::Error::new(error)
                .context(Wrong::new(Exit::Usage, "the scenario does not fit this VM")))
        }
        Err(error) if error.is_hang() => {
            Err(anyhow::Error::new(error).context(Wrong::new(Exit::TimedOut, "something hangs")))
        }
        Err(error) => Err(anyhow::Error::new(error)
            .context(Wrong::new(Exit::Broken, "the scenario did not come to its end"))),
        Ok(()) if ends.iter().all(|end| *end == VcpuEnd::Stopped) => Ok(Exit::Pass),
        Ok(()) => Ok(Exit::Broken),
    }
}

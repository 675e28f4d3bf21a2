//! One run of a VM, from the first event to the last. The same in lane `host` and inside the
//! lab; who reads the journal differs.

use crate::assemble::{self, Assembly};
use crate::cli::{DeviceOption, RunOptions};
use crate::event_loop::{self, EventLoop, Woken};
use crate::exit::{Exit, Wrong, wrong};
use crate::leftovers;
use crate::world::VfioWorld;
use anyhow::Context;
use barkeep_export::{Cause, Driver, Function};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_probe::{IMAGE, ServedOptions};
use barkeep_scenario::nearest::{nearest, with_suggestion};
use barkeep_scenario::{RunError, Scenario};
use barkeep_vfio::{FaultLog, Passthrough, Space};
use barkeep_vmm::ProbeLink;
use barkeep_vmm::machine::Parts;
use barkeep_vmm::vcpu::VcpuEnd;
use std::sync::{Arc, Mutex};
use vmm_sys_util::eventfd::EventFd;

/// Carries the scenario out on a VM with the devices; gives how it ended.
///
/// # Errors
/// The VM cannot be made or run.
pub fn run(options: &RunOptions, journal: &Journal) -> anyhow::Result<Exit> {
    let (scenario, devices) = plan(options)?;
    let version = concat!("barkeep ", env!("CARGO_PKG_VERSION"));
    journal.emit(Event::new(Kind::RunStart, Actor::Vmm).text(format!("{version}: {}", scenario.name)));
    let result = with_vm(options, &scenario, &devices, journal);
    leftovers::count_files(journal);
    let exit = match &result {
        Ok(exit) => *exit,
        Err(error) => {
            journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(format!("the run failed: {error:#}")));
            Exit::of(error)
        }
    };
    journal.emit(Event::new(Kind::RunEnd, Actor::Vmm).result(exit.code().into()));
    result
}

/// The scenario and the devices, as far as words alone tell.
///
/// # Errors
/// The scenario cannot be read or is none; a device is missing or named twice.
pub fn plan(options: &RunOptions) -> anyhow::Result<(Scenario, Vec<DeviceOption>)> {
    let scenario = options.load_scenario()?;
    let devices = devices(options, &scenario)?;
    Ok((scenario, devices))
}

/// The devices of the command line, or, inside the lab, those of the topology.
fn devices(options: &RunOptions, scenario: &Scenario) -> anyhow::Result<Vec<DeviceOption>> {
    if !options.devices.is_empty() {
        return unique(options.devices.clone());
    }
    let named = std::env::var("BARKEEP_DEVICES").unwrap_or_default();
    let parsed: Result<Vec<DeviceOption>, _> = named.split_whitespace().map(str::parse).collect();
    let there = parsed.context("BARKEEP_DEVICES")?;
    let wanted = scenario.devices();
    if there.is_empty() && !wanted.is_empty() {
        let what = format!(
            "no devices: the scenario `{}` needs {}; name them with --device NAME=BDF, or use --lane lab",
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

fn with_vm(
    options: &RunOptions,
    scenario: &Scenario,
    devices: &[DeviceOption],
    journal: &Journal,
) -> anyhow::Result<Exit> {
    let memory = options.memory.unwrap_or(scenario.guest.memory).0;
    let vcpus = options.cpus.unwrap_or(scenario.guest.vcpus).max(scenario.guest.vcpus);
    let faults = open_fault_log(journal);
    let assembly = assemble::assemble(devices, memory, options.p2p, journal)?;
    let Assembly { ram, space, functions, names, driver, frame, first_window } = assembly;
    let link = Arc::new(ProbeLink::new(Arc::clone(&ram), usize::from(vcpus)));
    let cmdline = ServedOptions { cpus: usize::from(vcpus), ..ServedOptions::default() }.to_string();
    let parts = Parts {
        functions: functions.iter().map(|f| Arc::clone(f) as Arc<dyn Function>).collect(),
        driver: Arc::clone(&driver),
        journal: journal.clone(),
        probe: Some(Arc::clone(&link)),
        vcpus,
        console: Box::new(std::io::stderr()),
    };
    let machine = frame.start(parts, IMAGE, &cmdline).context("cannot start the virtual machine")?;
    let world = VfioWorld {
        journal: journal.clone(),
        ram,
        space: Arc::clone(&space),
        functions: functions.clone(),
        names,
        driver: Arc::clone(&driver),
        link,
        first_window,
        faults,
        attaching: Mutex::new(()),
    };
    let result = run_scenario(scenario, &world, machine.ended());
    drop(world);
    let ends = machine.stop();
    take_apart(&driver, &functions, &space, journal);
    match result? {
        Some(result) => verdict(result, &ends),
        None => Ok(Exit::Interrupted),
    }
}

/// Runs the scenario on a thread of its own; `None` if a signal ended it first.
fn run_scenario(
    scenario: &Scenario,
    world: &VfioWorld,
    ended: &EventFd,
) -> anyhow::Result<Option<Result<(), RunError>>> {
    let done = event_loop::event()?;
    let told = done.try_clone().context("cannot make an event")?;
    let mut events = EventLoop::new(done, ended.try_clone().context("cannot make an event")?)?;
    std::thread::scope(|scope| {
        let runner = scope.spawn(move || {
            let result = barkeep_scenario::run(scenario, world);
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
        Ok((woken? != Woken::Signal).then_some(result))
    })
}

fn open_fault_log(journal: &Journal) -> Option<Mutex<FaultLog>> {
    match FaultLog::open() {
        Ok(log) => Some(Mutex::new(log)),
        Err(error) => {
            let text = format!("IOMMU faults cannot be seen: /dev/kmsg: {error}");
            eprintln!("barkeep: {text}");
            journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(text));
            None
        }
    }
}

/// Gives everything back, in the order in which it holds on to each other: slots and
/// mappings (by closing each device), dma-bufs, guest RAM.
fn take_apart(driver: &Driver, functions: &[Arc<Passthrough>], space: &Space, journal: &Journal) {
    for device in 0..driver.devices() {
        if !driver.keeper(device).closed() {
            // Closing has no result; what went wrong around it is in the journal.
            let _ = driver.handle(device, Cause::CLOSE, (Actor::Vmm, 0));
        }
        let function = &functions[usize::from(device)];
        for (number, window) in function.windows().iter().enumerate() {
            let id = barkeep_export::WindowId { device, window: number as u16 };
            if space.remove_buffer(id) {
                let event = Event::new(Kind::DmabufClose, Actor::Vmm).device(function.address());
                journal.emit(event.bar(window.bar).range(window.offset, window.size));
            }
        }
    }
}

fn verdict(result: Result<(), RunError>, ends: &[VcpuEnd]) -> anyhow::Result<Exit> {
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

//! What real CPUs reach: the memory of a BAR comes and goes under its mapping as the kernel has it.

use barkeep_export::RawDevice;
use barkeep_pci::header;
use barkeep_pci::windows::Window;
use barkeep_sim::options::MemoryOptions;
use barkeep_sim::{HostClock, Kind, Named, Reach, SimDevice, SimHost};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SIZE: u64 = 1 << 20;
const MEMORY: u16 = header::COMMAND_MEMORY;

/// One test at a time: what another one maps would be seen.
static ALONE: Mutex<()> = Mutex::new(());

/// A device and the address of its view.
struct Bench {
    _alone: MutexGuard<'static, ()>,
    clock: Arc<HostClock>,
    device: SimDevice,
    address: u64,
}

impl Bench {
    fn new() -> Self {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = Kind::Memory(MemoryOptions { size: SIZE, ..MemoryOptions::default() });
        let clock = Arc::new(HostClock::default());
        let host = SimHost::new(&[Named { name: "a".into(), kind }], clock.clone()).unwrap();
        let device = SimDevice::open(&host, 0).unwrap();
        let Reach::Mapped(address) = host.view_window(0, &Window { bar: 2, offset: 0, size: SIZE }).unwrap()
        else {
            panic!("a BAR that is memory is mapped");
        };
        Self { _alone, clock, device, address }
    }

    fn command(&self, value: u16) {
        self.device.config_write(header::COMMAND, &value.to_le_bytes()).unwrap();
    }
}

/// The permissions of the mapping at an address of this process; nothing where there is none.
fn permissions(address: u64) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    maps.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        (number(start)..number(end)).contains(&address).then(|| words.next().map(str::to_owned))?
    })
}

const SHOWN: Option<&str> = Some("rw-s");
const HIDDEN: Option<&str> = Some("---p");

#[test]
fn pages_go_with_decode_and_power_and_come_back() {
    let bench = Bench::new();
    let shows = || permissions(bench.address);
    assert_eq!(shows().as_deref(), SHOWN);
    bench.command(0);
    assert_eq!(shows().as_deref(), HIDDEN);
    bench.command(MEMORY);
    assert_eq!(shows().as_deref(), SHOWN);
    let pmcsr = bench.device.layout().pm.unwrap().offset + header::PM_PMCSR;
    bench.device.config_write(pmcsr, &3u16.to_le_bytes()).unwrap();
    assert_eq!(shows().as_deref(), HIDDEN);
    bench.device.config_write(pmcsr, &0u16.to_le_bytes()).unwrap();
    assert_eq!(shows().as_deref(), SHOWN);
}

#[test]
fn pages_are_away_for_the_whole_of_a_reset() {
    let bench = Bench::new();
    let seen: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    for ns in [0, 50_000_000, 99_000_000] {
        let (seen, address) = (Arc::clone(&seen), bench.address);
        bench.clock.after(ns, Box::new(move || seen.lock().unwrap().push(permissions(address))));
    }
    let devctl = bench.device.layout().pcie.unwrap().offset + header::PCIE_DEVCTL;
    bench.device.config_write(devctl, &header::PCIE_DEVCTL_FLR.to_le_bytes()).unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen, vec![HIDDEN.map(str::to_owned); 3]);
    assert_eq!(permissions(bench.address).as_deref(), SHOWN);
}

#[test]
fn a_closed_device_leaves_nothing() {
    let bench = Bench::new();
    bench.device.close();
    let left = permissions(bench.address);
    assert!(left.as_deref() != SHOWN && left.as_deref() != HIDDEN, "{left:?}");
    let mut bytes = [0; 4];
    assert!(bench.device.config_read(0, &mut bytes).is_err());
    assert!(bench.device.region_read(2, 0, &mut bytes).is_err());
}

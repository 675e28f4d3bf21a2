//! QEMU's command line and the kernel's. What stands here was tried: most options are
//! what makes a run the same every time, or fast.

use crate::boot_drivers;
use crate::topology::{Device, Network, Property, Ram, Topology};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Slots of the root complex where the inner half finds its two windows.
pub(crate) const JOURNAL_SLOT: &str = "1e.0";
pub(crate) const PARCEL_SLOT: &str = "1d.0";

/// Bytes of the journal and of the results parcel; PCI wants a power of two.
pub(crate) const JOURNAL_SIZE: usize = 64 << 20;
pub(crate) const PARCEL_SIZE: usize = 64 << 20;

/// Where QEMU finds the machine's private files. None of it gets inside.
pub(crate) struct Files {
    /// Absent: the kernel is read from where the user has it.
    pub(crate) kernel: Option<String>,
    pub(crate) initramfs: String,
    pub(crate) journal: String,
    pub(crate) parcel: String,
    /// Those of the topology's devices that have a [`crate::topology::Disk`], in their order.
    pub(crate) disks: Vec<String>,
}

impl Files {
    /// Names for a command line that is only shown.
    pub(crate) fn shown(unpacked: bool, topology: &Topology) -> Self {
        let disks = topology.devices.iter().filter(|device| device.disk.is_some());
        Self {
            disks: disks.map(|device| format!("DISK-{}", device.name)).collect(),
            kernel: unpacked.then(|| "KERNEL".to_owned()),
            initramfs: "INITRAMFS".to_owned(),
            journal: "JOURNAL".to_owned(),
            parcel: "PARCEL".to_owned(),
        }
    }
}

/// What the command line is made from.
pub(crate) struct Machine<'a> {
    pub(crate) emulator: &'a Path,
    pub(crate) kernel: &'a Path,
    pub(crate) files: Files,
    pub(crate) topology: &'a Topology,
    pub(crate) fast: bool,
    pub(crate) console: PathBuf,
    pub(crate) append: &'a str,
}

impl Machine<'_> {
    /// Program and arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        let mut line = vec![text(self.emulator)];
        line.extend(SWITCHES.map(str::to_owned));
        let mut add = |option: &str, value: String| line.extend([option.to_owned(), value]);
        for (option, value) in self.time().iter().chain(BASE) {
            add(option, (*value).to_owned());
        }
        add(
            "-cpu",
            if self.topology.peer_to_peer { format!("{CPU},{CPU_OF_PEERS}") } else { CPU.to_owned() },
        );
        add("-m", self.topology.memory.clone());
        add("-kernel", self.files.kernel.clone().unwrap_or_else(|| text(self.kernel)));
        add("-initrd", self.files.initramfs.clone());
        add("-append", self.kernel_command_line());
        add("-chardev", format!("file,id=console,path={}", text(&self.console).replace(',', ",,")));
        add("-serial", "chardev:console".to_owned());
        for (id, file, size, slot) in [
            ("journal", &self.files.journal, JOURNAL_SIZE, JOURNAL_SLOT),
            ("parcel", &self.files.parcel, PARCEL_SIZE, PARCEL_SLOT),
        ] {
            add("-object", format!("memory-backend-file,id={id},share=on,mem-path={file},size={size}"));
            add("-device", format!("ivshmem-plain,memdev={id},addr={slot}"));
        }
        for global in &self.topology.globals {
            add("-global", global.clone());
        }
        let mut disks = self.files.disks.iter();
        for device in &self.topology.devices {
            if let Some(disk) = device.disk.as_ref().and_then(|_| disks.next()) {
                let format = "format=raw,file.locking=off";
                add("-drive", format!("if=none,id={},file={disk},{format}", drive_of(device)));
            }
            if let Some(Network::User) = device.network {
                add("-netdev", format!("user,id={},restrict=on", network_of(device)));
            }
            if let Some(backend) = &device.backend {
                add("-drive", format!("if=none,id={}{}", drive_of(device), options(backend)));
            }
            if let Some(Ram { size }) = &device.memory {
                // Shared memory without a name: pages come when they are touched.
                add("-object", format!("memory-backend-memfd,id={},share=on,size={size}", memory_of(device)));
            }
            add("-device", device_option(device));
        }
        line
    }

    fn time(&self) -> &'static [(&'static str, &'static str)] {
        if self.fast { FAST } else { VIRTUAL }
    }

    fn kernel_command_line(&self) -> String {
        let mut words = KERNEL.to_owned();
        words += if self.fast { KERNEL_FAST } else { KERNEL_VIRTUAL };
        let unwanted = boot_drivers::unwanted(self.topology);
        if !unwanted.is_empty() {
            words = words + " initcall_blacklist=" + &unwanted.join(",");
        }
        for more in [self.topology.kernel_arguments.as_str(), self.append] {
            if !more.is_empty() {
                words = words + " " + more;
            }
        }
        words
    }
}

/// Time is counted instructions, one is two nanoseconds, and idle time is skipped.
const VIRTUAL: &[(&str, &str)] =
    &[("-accel", "tcg,thread=single"), ("-icount", "shift=1,sleep=off"), ("-smp", "1"), ("-seed", "1")];

/// Time is the host's.
const FAST: &[(&str, &str)] = &[("-accel", "tcg,thread=multi"), ("-smp", "2")];

const SWITCHES: [&str; 3] = ["-nodefaults", "-no-user-config", "-no-reboot"];

const BASE: &[(&str, &str)] = &[
    ("-rtc", "base=2026-01-01T00:00:00,clock=vm"),
    // Nothing nobody asked for: each device left out is a probe the kernel need not make.
    ("-M", "q35,i8042=off,sata=off,smbus=off,vmport=off"),
    // SeaBIOS polls the devices, and how often depends on the host.
    ("-bios", "qboot.rom"),
    ("-display", "none"),
    // First, so that every device after it is behind it.
    ("-device", "intel-iommu,x-scalable-mode=off"),
];

/// Numbers drawn from the host would differ from run to run. Without the other two, copying is done by
/// words and not by emulating one byte after the other.
const CPU: &str = "max,-rdrand,-rdseed,-erms,-fsrm";

/// A family of AMD's that is not before Zen, 0x17: QEMU's `max` says it is AMD's, of family 6.
const CPU_OF_PEERS: &str = "family=25";

/// A panic reboots, which ends QEMU; nothing moves in memory; what nobody uses is not
/// probed. `quiet`: the journal has the log, the serial line would slow the boot. KVM's halt
/// polling spins, and busy time is not free in virtual time: without it four vCPUs that sleep
/// between accesses cost half.
const KERNEL: &str = "console=ttyS0 quiet panic=-1 nokaslr norandmaps random.trust_cpu=off intel_iommu=on \
     no_timer_check 8250.nr_uarts=1 pty.legacy_count=0 kvm.halt_poll_ns=0 \
     sysctl.kernel.hung_task_timeout_secs=30 sysctl.kernel.hung_task_warnings=-1";

/// Whoever spins on the clock reads it after every few instructions, which is the slowest thing there
/// is to emulate. Calibrating the local timer does for 100 ms of virtual time, 1.7 of 4 seconds of the
/// boot; the HPET serves as well. KVM's wait for readers of the slots does, five microseconds between
/// two looks, for all of a time slice: on the only CPU it takes the waiting thread's place, which is
/// still inside a read section of its own (`srcu_gp_start_if_needed`). Looking without a pause takes
/// the same virtual time and 60 % of the emulator's.
const KERNEL_VIRTUAL: &str = " nolapic_timer srcutree.srcu_retry_check_delay=0";

/// A CPU thread the host does not run for a while is no reason to doubt the clock.
const KERNEL_FAST: &str = " tsc=reliable";

fn device_option(device: &Device) -> String {
    let mut option = format!("{},id={},addr={}", device.model, id_of(&device.name), device.slot);
    if let Some(bus) = &device.bus {
        option += &format!(",bus={}", id_of(bus));
    }
    if device.backend.is_some() || device.disk.is_some() {
        option += &format!(",drive={}", drive_of(device));
    }
    if device.network.is_some() {
        option += &format!(",netdev={}", network_of(device));
    }
    if device.memory.is_some() {
        option += &format!(",memdev={}", memory_of(device));
    }
    option + &options(&device.properties)
}

/// QEMU gives a port's bus the port's id, and an id may not be the name of a property
/// (`port`, `bus`).
fn id_of(name: &str) -> String {
    format!("lab-{name}")
}

fn drive_of(device: &Device) -> String {
    format!("drive-{}", device.name)
}

fn network_of(device: &Device) -> String {
    format!("network-{}", device.name)
}

fn memory_of(device: &Device) -> String {
    format!("memory-{}", device.name)
}

fn options(table: &BTreeMap<String, Property>) -> String {
    table.iter().map(|(key, value)| format!(",{key}={value}")).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A command line as a shell reads it.
pub fn shell_quoted(line: &[String]) -> String {
    let quoted = line.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(fast: bool) -> String {
        command_for("nvme-edu", fast)
    }

    fn command_for(topology: &str, fast: bool) -> String {
        shown(&Topology::named_or_file(topology).unwrap(), fast)
    }

    fn shown(topology: &Topology, fast: bool) -> String {
        let machine = Machine {
            emulator: Path::new("qemu"),
            kernel: Path::new("bzImage"),
            files: Files::shown(false, topology),
            topology,
            fast,
            console: PathBuf::from("a,b/console.log"),
            append: "initcall_debug",
        };
        shell_quoted(&machine.command())
    }

    #[test]
    fn has_every_device_where_the_topology_puts_it() {
        let line = command(false);
        for part in [
            "-drive if=none,id=drive-nvme,driver=null-co,read-zeroes=on,size=64M",
            "-device nvme,id=lab-nvme,addr=03.0,drive=drive-nvme,cmb_size_mb=16,legacy-cmb=on,serial=barkeep",
            "-device edu,id=lab-edu,addr=04.0,dma_mask=0xffffffffffffffff",
            "-device ivshmem-plain,memdev=journal,addr=1e.0",
            "path=a,,b/console.log",
            " initcall_debug'",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        let at = |part: &str| line.find(part).unwrap();
        assert!(at("intel-iommu") < at("ivshmem-plain"), "the IOMMU stands before what it translates for");
    }

    #[test]
    fn a_bar_that_is_ram_has_its_memory_before_it() {
        let line = command_for("large-bar", false);
        let memory = "-object memory-backend-memfd,id=memory-ram,share=on,size=4G -device ";
        let device = "ivshmem-plain,id=lab-ram,addr=00.0,bus=lab-port,memdev=memory-ram ";
        assert!(line.contains(&format!("{memory}{device}")), "{line}");
    }

    #[test]
    fn the_cpu_is_one_that_lets_peers_through_only_where_asked() {
        assert!(command_for("exporter", false).contains("-cpu max,-rdrand,-rdseed,-erms,-fsrm,family=25 "));
        assert!(!command(false).contains("family"));
    }

    #[test]
    fn the_machines_own_words_for_its_kernel_come_behind_the_labs() {
        let mut topology = Topology::named_or_file("nvme-edu").unwrap();
        topology.kernel_arguments = "hugepages=1".to_owned();
        let line = shown(&topology, false);
        assert!(line.contains(" hugepages=1 initcall_debug'"), "{line}");
    }

    #[test]
    fn virtual_time_is_the_default() {
        assert!(
            command(false).contains("-icount shift=1,sleep=off") && command(false).contains("nolapic_timer")
        );
        assert!(!command(true).contains("icount") && !command(true).contains("nolapic_timer"));
    }

    #[test]
    fn quoting_survives_a_shell() {
        let words = ["plain", "two words", "it's", "", "$HOME"].map(str::to_owned);
        assert_eq!(shell_quoted(&words), r"plain 'two words' 'it'\''s' '' '$HOME'");
    }
}

//! The actions.

use super::is_default;
use super::words::{
    Content, Fate, Hold, Importing, Place, Purpose, Register, Release, Second, Severity, Sight, Unseen,
};
use crate::units::Lapse;
use serde::{Deserialize, Serialize};

/// One action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the table of docs/interfaces.md")]
pub enum Action {
    /// A guest CPU writes 32-bit words.
    Fill {
        to: Place,
        #[serde(default = "page")]
        size: u64,
        pattern: u32,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
    },
    /// A guest CPU reads and compares.
    Verify {
        at: Place,
        #[serde(default = "page")]
        size: u64,
        pattern: u32,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        expect: Content,
    },
    /// An engine puts data into a BAR, and what became of it is looked at.
    Dma {
        engine: String,
        to: Place,
        #[serde(default = "dma_size")]
        size: u64,
        #[serde(default, skip_serializing_if = "is_default")]
        pattern: Option<u32>,
        expect: Fate,
    },
    /// The same, all but the write that sets it going.
    DmaPrepare {
        engine: String,
        to: Place,
        #[serde(default = "dma_size")]
        size: u64,
        #[serde(default, skip_serializing_if = "is_default")]
        pattern: Option<u32>,
    },
    /// The same, only commanded.
    DmaStart {
        engine: String,
        to: Place,
        #[serde(default = "dma_size")]
        size: u64,
        #[serde(default, skip_serializing_if = "is_default")]
        pattern: Option<u32>,
    },
    /// What became of it.
    DmaFinish { engine: String, expect: Fate },
    /// PCIe FLR, written bare.
    Flr {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// Advanced Features FLR.
    AfFlr {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// Memory decode off.
    DecodeOff {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// Memory decode on.
    DecodeOn {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// Power state D3hot.
    D3hot {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// Power state D0.
    D0 {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// Bits of a register set and cleared, whatever that does.
    ConfigWrite {
        device: String,
        register: Register,
        #[serde(default, skip_serializing_if = "is_default")]
        set: u16,
        #[serde(default, skip_serializing_if = "is_default")]
        clear: u16,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
    },
    /// A BAR written to a free place while it is decoded.
    BarMove {
        device: String,
        bar: u8,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
    },
    /// `VFIO_DEVICE_RESET` by the VMM.
    DeviceReset {
        device: String,
        #[serde(default = "ok")]
        expect: String,
    },
    /// `VFIO_DEVICE_PCI_HOT_RESET` by the VMM.
    HotReset {
        device: String,
        #[serde(default = "ok")]
        expect: String,
    },
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`, or `_ENTRY_WITH_WAKEUP`, by the VMM.
    LowPowerEntry {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        wakes: bool,
        #[serde(default = "ok")]
        expect: String,
    },
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_EXIT` by the VMM.
    LowPowerExit {
        device: String,
        #[serde(default = "ok")]
        expect: String,
    },
    /// The device file closed by the VMM.
    Close { device: String },
    /// The administrator takes a device, or a physical function's virtual ones, out of the machine.
    Remove {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        release: Release,
        #[serde(default, rename = "functions-of", skip_serializing_if = "is_default")]
        functions_of: Option<String>,
        #[serde(default, skip_serializing_if = "is_default")]
        unbind: bool,
    },
    /// The VMM gives up a device that the kernel asks for.
    Release { device: String },
    /// The end of the removal.
    Removed { device: String },
    /// The administrator takes the reset methods out, or puts them back.
    ResetMethods { device: String, present: bool },
    /// The administrator resets a device.
    SysfsReset {
        device: String,
        #[serde(default = "ok")]
        expect: String,
    },
    /// Somebody else begins to hold the device file open, or with `bar` the dma-buf of a window.
    Hold {
        device: String,
        what: Hold,
        #[serde(default, skip_serializing_if = "is_default")]
        bar: Option<u8>,
        #[serde(default, skip_serializing_if = "is_default")]
        offset: u64,
        #[serde(default = "ok")]
        expect: String,
    },
    /// They let go of it: of the file and its dma-bufs or of one dma-buf, all or those of one sort.
    LetGo {
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        what: Option<Hold>,
        #[serde(default, skip_serializing_if = "is_default")]
        bar: Option<u8>,
        #[serde(default, skip_serializing_if = "is_default")]
        offset: u64,
    },
    /// A second process beside the VMM, which imports a window.
    Second {
        what: Second,
        #[serde(default, skip_serializing_if = "is_default")]
        of: Option<Place>,
        #[serde(default, skip_serializing_if = "is_default")]
        engine: Option<String>,
        #[serde(default = "ok")]
        expect: String,
    },
    /// A device beside the VM, whose driver imports a window.
    Importer {
        what: Importing,
        #[serde(default, skip_serializing_if = "is_default")]
        of: Option<Place>,
        #[serde(default, skip_serializing_if = "is_default")]
        engine: Option<String>,
        #[serde(default, skip_serializing_if = "is_default")]
        hold: Lapse,
        #[serde(default = "ok")]
        expect: String,
    },
    /// The VMM's process is ended by SIGKILL.
    KillVmm,
    /// The kernel is made to signal the device's error interrupt.
    SignalError {
        device: String,
        #[serde(default = "ok")]
        expect: String,
    },
    /// The kernel is told of a PCI Express error that the device has not had.
    InjectError {
        device: String,
        severity: Severity,
        #[serde(default = "ok")]
        expect: String,
    },
    /// Somebody else who holds the device file does something; the VMM is not told.
    Unseen {
        device: String,
        what: Unseen,
        #[serde(default, skip_serializing_if = "is_default")]
        bar: Option<u8>,
        #[serde(default, skip_serializing_if = "is_default")]
        offset: u64,
        #[serde(default = "ok")]
        expect: String,
    },
    /// The VMM is told that something may have happened unseen.
    Suspect { device: String },
    /// An attach, for its errno.
    Attach {
        to: Place,
        #[serde(default, skip_serializing_if = "is_default")]
        after: Lapse,
        #[serde(default, skip_serializing_if = "is_default")]
        background: bool,
        expect: String,
    },
    /// A vCPU writes and reads a page of a BAR, on and on.
    Hammer {
        at: Place,
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        pause: Lapse,
    },
    /// Ends all hammering.
    HammerStop {
        #[serde(default, skip_serializing_if = "is_default")]
        answered: u64,
    },
    /// Several vCPUs read and write the VM's config space and MSI-X tables at random.
    Scribble {
        #[serde(default = "second")]
        vcpus: usize,
        accesses: u64,
    },
    /// A vCPU waits for the outage of a window and reads inside it.
    Watch {
        at: Place,
        #[serde(default = "second")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        engine: Option<String>,
    },
    /// What it saw.
    Watched {
        #[serde(default = "second")]
        vcpu: usize,
        #[serde(default, skip_serializing_if = "is_default")]
        expect: Sight,
    },
    /// The VMM takes its time between dropping mappings and making new ones.
    Linger { time: Lapse },
    /// The guest halts.
    Sleep {
        time: Lapse,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
        #[serde(default, rename = "for", skip_serializing_if = "is_default")]
        purpose: Purpose,
    },
    /// The guest halts, and so should the VMM.
    Idle {
        time: Lapse,
        #[serde(default, skip_serializing_if = "is_default")]
        vcpu: usize,
    },
    /// Something that is done that long from now, whatever goes on then.
    Meanwhile {
        #[serde(default, skip_serializing_if = "is_default")]
        after: Lapse,
        action: Box<Action>,
    },
    /// Waits for all that goes on in the background or meanwhile.
    Join,
    /// The guest reboots.
    Reboot,
    /// A list, several times.
    Repeat {
        times: u64,
        #[serde(rename = "action")]
        actions: Vec<Action>,
    },
}

fn page() -> u64 {
    4096
}

fn dma_size() -> u64 {
    256
}

fn ok() -> String {
    "ok".into()
}

fn second() -> usize {
    1
}

//! An action in a few words, as the journal and the timeline show it.

use super::{Action, Content, Fate, Hold, Importing, Purpose, Release, Second, Sight};
use crate::units::told;
use std::fmt;
use std::time::Duration;

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fill { to, pattern, .. } => write!(f, "fill {to} with {pattern:#010x}"),
            Self::Verify { at, pattern, expect: Content::Holds, .. } => {
                write!(f, "verify {at} holds {pattern:#010x}")
            }
            Self::Verify { at, expect: Content::Ones, .. } => write!(f, "verify {at} reads all ones"),
            Self::Verify { at, pattern, expect: Content::Differs, .. } => {
                write!(f, "verify {at} does not hold {pattern:#010x}")
            }
            Self::Verify { at, pattern, expect: Content::Any, .. } => {
                write!(f, "verify whether {at} holds {pattern:#010x}")
            }
            Self::Dma { engine, to, expect, .. } => write!(f, "DMA {engine} to {to} {}", fate(*expect)),
            Self::DmaPrepare { engine, to, .. } => write!(f, "DMA {engine} to {to} prepared"),
            Self::DmaStart { engine, to, .. } => write!(f, "DMA {engine} to {to} in flight"),
            Self::DmaFinish { engine, expect } => write!(f, "DMA of {engine} {}", fate(*expect)),
            Self::Flr { device, background, .. } => write!(f, "FLR {device}{}", behind(*background)),
            Self::AfFlr { device, background, .. } => write!(f, "AF FLR {device}{}", behind(*background)),
            Self::DecodeOff { device, background, .. } => {
                write!(f, "decode off {device}{}", behind(*background))
            }
            Self::DecodeOn { device, background, .. } => {
                write!(f, "decode on {device}{}", behind(*background))
            }
            Self::D3hot { device, background, .. } => write!(f, "D3hot {device}{}", behind(*background)),
            Self::D0 { device, background, .. } => write!(f, "D0 {device}{}", behind(*background)),
            Self::ConfigWrite { device, register, set, clear, vcpu: _, background } => {
                let behind = behind(*background);
                write!(f, "{register:?} of {device}: {set:#x} set, {clear:#x} cleared{behind}")
            }
            Self::BarMove { device, bar, .. } => write!(f, "move {device}:{bar}"),
            Self::DeviceReset { device, .. } => write!(f, "device reset {device}"),
            Self::HotReset { device, .. } => write!(f, "hot reset {device}"),
            Self::LowPowerEntry { device, wakes: false, .. } => write!(f, "low power {device}"),
            Self::LowPowerEntry { device, wakes: true, .. } => write!(f, "low power {device} until it wakes"),
            Self::LowPowerExit { device, .. } => write!(f, "out of low power {device}"),
            Self::Close { device } => write!(f, "close {device}"),
            Self::Remove { device, release, functions_of, unbind } => {
                let when = match release {
                    Release::AtOnce => "released at once",
                    Release::Later => "kept for now",
                };
                match functions_of {
                    None if *unbind => write!(f, "unbind {device}, {when}"),
                    None => write!(f, "remove {device}, {when}"),
                    Some(physical) => write!(f, "remove {device} with {physical}'s functions, {when}"),
                }
            }
            Self::Release { device } => write!(f, "release {device}"),
            Self::Removed { device } => write!(f, "{device} is removed"),
            Self::ResetMethods { device, present: false } => write!(f, "no reset methods for {device}"),
            Self::ResetMethods { device, present: true } => write!(f, "reset methods for {device}"),
            Self::SysfsReset { device, .. } => write!(f, "sysfs reset {device}"),
            Self::Hold { device, what, bar, offset, expect: _ } => {
                write!(f, "{} holds {device}{}", holder(*what), Buffer(*bar, *offset))
            }
            Self::LetGo { device, what: None, bar, offset } => {
                write!(f, "{device}{} is let go", Buffer(*bar, *offset))
            }
            Self::LetGo { device, what: Some(what), bar, offset } => {
                write!(f, "{} lets {device}{} go", holder(*what), Buffer(*bar, *offset))
            }
            Self::Second { what, of, engine, expect: _ } => {
                write!(f, "the second process {}", second(*what))?;
                if let Some(of) = of {
                    write!(f, " with {of}")?;
                }
                match engine {
                    Some(engine) => write!(f, " and {engine}"),
                    None => Ok(()),
                }
            }
            Self::Importer { what, of, engine, hold, expect: _ } => {
                match engine {
                    Some(engine) => write!(f, "the importer {engine} {}", importing(*what))?,
                    None => write!(f, "the importer {}", importing(*what))?,
                }
                if let Some(of) = of {
                    write!(f, " to {of}")?;
                }
                match hold.longest() {
                    Duration::ZERO => Ok(()),
                    hold => write!(f, " and lets go {} late", told(hold)),
                }
            }
            Self::KillVmm => write!(f, "the VMM is killed"),
            Self::SignalError { device, .. } => write!(f, "error interrupt of {device}"),
            Self::InjectError { device, severity, expect: _ } => {
                write!(f, "{} error of {device}", severity.name())
            }
            Self::Unseen { device, what, bar: None, .. } => write!(f, "unseen by the VMM: {what:?} {device}"),
            Self::Unseen { device, what, bar: Some(bar), offset, .. } => {
                write!(f, "unseen by the VMM: {what:?} {device}:{bar}+{offset:#x}")
            }
            Self::Suspect { device } => write!(f, "suspect {device}"),
            Self::Attach { to, after, background, expect } => {
                write!(f, "attach {to} gives {expect}")?;
                match (after.longest(), background) {
                    (Duration::ZERO, _) => Ok(()),
                    (after, false) => write!(f, " {} later", told(after)),
                    (after, true) => write!(f, " {} into the outage", told(after)),
                }
            }
            Self::Hammer { at, vcpu, pause } => {
                write!(f, "hammer {at} on vCPU {vcpu}")?;
                match pause.longest() {
                    Duration::ZERO => Ok(()),
                    pause => write!(f, " every {}", told(pause)),
                }
            }
            Self::HammerStop { .. } => write!(f, "hammering ends"),
            Self::Scribble { vcpus, accesses } => {
                write!(f, "{accesses} random accesses to config space by {vcpus} vCPUs")
            }
            Self::Watch { at, vcpu, engine: None } => write!(f, "watch {at} on vCPU {vcpu}"),
            Self::Watch { at, vcpu, engine: Some(engine) } => {
                write!(f, "watch {at} on vCPU {vcpu} to start {engine}")
            }
            Self::Watched { vcpu, expect: Sight::Ones } => write!(f, "vCPU {vcpu} saw all ones"),
            Self::Watched { vcpu, expect: Sight::Nothing } => write!(f, "vCPU {vcpu} saw no outage"),
            Self::Watched { vcpu, expect: Sight::Any } => write!(f, "what vCPU {vcpu} saw"),
            Self::Linger { time } => write!(f, "linger {}", told(time.longest())),
            Self::Sleep { time, purpose: Purpose::FaultLog, .. } => {
                write!(f, "up to {} for the fault log", told(time.longest()))
            }
            Self::Sleep { time, purpose: Purpose::Itself, .. } => write!(f, "sleep {}", told(time.longest())),
            Self::Idle { time, .. } => write!(f, "idle {}", told(time.longest())),
            Self::Meanwhile { after, action } => write!(f, "{} from now: {action}", told(after.longest())),
            Self::Join => write!(f, "all in the background is over"),
            Self::Reboot => write!(f, "reboot"),
            Self::Repeat { times, actions } => write!(f, "{times} times {} actions", actions.len()),
        }
    }
}

fn behind(background: bool) -> &'static str {
    if background { " in the background" } else { "" }
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Lands => "lands",
        Fate::Faults => "faults",
        Fate::Lost => "is lost",
        Fate::Either => "is looked at",
    }
}

fn holder(hold: Hold) -> &'static str {
    match hold {
        Hold::Duplicate => "a duplicate",
        Hold::Mapping => "a mapping",
        Hold::Passed => "a passed descriptor",
        Hold::Kvm => "KVM",
        Hold::Inherited => "a child process",
        Hold::Reopened => "a reopened file",
    }
}

fn second(what: Second) -> &'static str {
    match what {
        Second::Start => "starts",
        Second::Import => "imports",
        Second::Unmap => "unmaps",
        Second::Drop => "drops the dma-buf",
        Second::Dma => "does a DMA",
        Second::DmaStart => "has a DMA in flight",
        Second::DmaFinish => "has its DMA looked at",
        Second::End => "exits",
        Second::Kill => "is killed",
    }
}

fn importing(what: Importing) -> &'static str {
    match what {
        Importing::Attach => "attaches",
        Importing::Map => "maps",
        Importing::Use => "uses the window",
        Importing::Unmap => "unmaps",
        Importing::Pin => "pins",
        Importing::Unpin => "unpins",
        Importing::Dma => "does a DMA",
        Importing::DmaStart => "has a DMA in flight",
        Importing::DmaFinish => "has its DMA looked at",
        Importing::Detach => "detaches",
    }
}

/// A window's dma-buf, where it is not the device file.
struct Buffer(Option<u8>, u64);

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(None, _) => Ok(()),
            Self(Some(bar), offset) => write!(f, "'s dma-buf {bar}+{offset:#x}"),
        }
    }
}

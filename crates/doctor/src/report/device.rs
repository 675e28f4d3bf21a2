//! One device of the report.

use super::{Probe, Probed};
use crate::bind::holds;
use crate::function::{BarWindows, BarsError, Function};
use crate::machine::Bytes;
use crate::peers::live_group_mates;
use crate::roots::{self, Roots};
use crate::row::Row;
use barkeep_pci::layout::BarKind;
use barkeep_pci::windows::Window;
use serde::Serialize;
use std::io::ErrorKind;

/// A device, looked at.
#[derive(Debug, Serialize)]
pub struct Device {
    /// Its address.
    pub address: String,
    /// Vendor, device and class code as sysfs has them.
    pub vendor: u64,
    /// See `vendor`.
    pub device: u64,
    /// See `vendor`.
    pub class: u64,
    /// Who has it.
    pub driver: Option<String>,
    /// Its IOMMU group, and who shares that.
    pub group: Option<String>,
    /// See `group`.
    pub group_mates: Vec<String>,
    /// How the kernel would reset it, in the order it would try.
    pub reset_methods: Vec<String>,
    /// Its BARs; `None` where they cannot be read.
    pub bars: Option<Vec<Bar>>,
    /// What was looked at.
    pub rows: Vec<Row>,
}

/// A BAR.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// 0 to 5.
    pub index: u8,
    /// `memory32`, `memory64` or `io`.
    pub kind: &'static str,
    /// Bytes.
    pub size: u64,
    /// What of it may be exported.
    pub windows: Vec<Span>,
    /// What may not.
    pub excluded: Vec<Span>,
}

/// A part of a BAR.
#[derive(Debug, Serialize)]
pub struct Span {
    /// First byte, from the start of the BAR.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Why it stays with the VMM, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Device {
    pub(super) fn examine(
        roots: &Roots,
        function: &Function,
        page: u64,
        probe: &dyn Probe,
    ) -> (Self, Probed) {
        let (vendor, device, class) = function.identity();
        let bars = function.bars(page);
        let mut rows = vec![driver(function)];
        rows.extend(file(roots, function));
        rows.extend([group(roots, function), resets(function)]);
        rows.extend(bar_rows(&bars));
        rows.extend(used(roots, function));
        let windows: Vec<Window> =
            bars.iter().flatten().flat_map(|bar| bar.parts.windows.iter().copied()).collect();
        // Whoever opens a device has it reset; one that its driver has is not opened.
        let probed = match function.is_passed_through() && !function.is_bridge() {
            true => probe.probe(function.address, &windows),
            false => Probed::NotAsked,
        };
        rows.extend(opened(&probed, windows.len()));
        // Where nothing was exported, nothing is proved.
        let probed = if windows.is_empty() { Probed::NotAsked } else { probed };
        let examined = Self {
            address: function.address.to_string(),
            vendor,
            device,
            class,
            driver: function.driver(),
            group: function.group(),
            group_mates: function.group_mates().iter().map(ToString::to_string).collect(),
            reset_methods: function.reset_methods(),
            bars: bars.ok().map(|bars| bars.iter().map(Bar::of).collect()),
            rows,
        };
        (examined, probed)
    }

    /// Whether some window of its BARs can be exported; `None`: not known.
    pub(super) fn exports(&self) -> Option<bool> {
        self.bars.as_ref().map(|bars| bars.iter().any(|bar| !bar.windows.is_empty()))
    }
}

impl Bar {
    fn of(bar: &BarWindows) -> Self {
        let kind = match bar.kind {
            BarKind::Memory32 => "memory32",
            BarKind::Memory64 => "memory64",
            BarKind::Io => "io",
        };
        let windows = bar.parts.windows.iter();
        let windows = windows.map(|window| Span { offset: window.offset, size: window.size, reason: None });
        let excluded = bar.parts.excluded.iter().map(|part| Span {
            offset: part.range.start,
            size: part.range.end - part.range.start,
            reason: Some(part.reason.to_string()),
        });
        let (windows, excluded) = (windows.collect(), excluded.collect());
        Self { index: bar.index, kind, size: bar.size, windows, excluded }
    }
}

fn driver(function: &Function) -> Row {
    const WHAT: &str = "driver";
    let bind = || format!("barkeep bind {}", function.address);
    match function.driver() {
        _ if function.is_bridge() => {
            Row::fail(WHAT, "it is a bridge, and vfio-pci takes endpoints only", "name a device behind it")
        }
        Some(driver) if function.is_passed_through() => Row::ok(WHAT, driver),
        Some(driver) => Row::fail(WHAT, format!("{driver} has it, not vfio-pci"), bind()),
        None => Row::fail(WHAT, "nobody has it, vfio-pci neither", bind()),
    }
}

/// The file it is opened by. Opening that alone does nothing to the device.
fn file(roots: &Roots, function: &Function) -> Option<Row> {
    const WHAT: &str = "file";
    if !function.is_passed_through() {
        return None;
    }
    let Some(name) = function.character_device() else {
        let why = "it has no file in /dev/vfio/devices";
        return Some(Row::fail(
            WHAT,
            why,
            "a kernel with CONFIG_VFIO_DEVICE_CDEV and CONFIG_IOMMUFD, and an IOMMU",
        ));
    };
    let path = format!("/dev/vfio/devices/{name}");
    Some(match roots::openable(&roots.dev.join("vfio/devices").join(&name)) {
        Ok(()) => Row::ok(WHAT, path),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Row::fail(
            WHAT,
            format!("you may not open {path}"),
            "be root, or give it to your group by a udev rule (docs/hardware.md)",
        ),
        Err(error) => Row::fail(
            WHAT,
            format!("{path} cannot be opened: {error}"),
            "udevadm settle, or wait for devtmpfs",
        ),
    })
}

fn group(roots: &Roots, function: &Function) -> Row {
    const WHAT: &str = "group";
    let Some(group) = function.group() else {
        return Row::fail(WHAT, "it has no IOMMU group", "turn the IOMMU on: the row iommu");
    };
    let mates = function.group_mates();
    let live = live_group_mates(roots, function);
    if let Some((mate, driver)) = live.first() {
        let why = format!("group {group} is shared with {mate}, which {driver} has");
        return Row::fail(WHAT, why, format!("barkeep bind {mate}, or a slot with a root port that has ACS"));
    }
    match mates.as_slice() {
        [] => Row::ok(WHAT, format!("{group}, alone")),
        mates => {
            let mates: Vec<String> = mates.iter().map(ToString::to_string).collect();
            Row::note(WHAT, format!("{group}, with {}: they go to one VM, or to nobody", mates.join(" ")))
        }
    }
}

fn resets(function: &Function) -> Row {
    match function.reset_methods().as_slice() {
        [] => Row::note("resets", "none: what one guest left in it the next one finds"),
        methods => Row::ok("resets", methods.join(" ")),
    }
}

fn bar_rows(bars: &Result<Vec<BarWindows>, BarsError>) -> Vec<Row> {
    const WHAT: &str = "bars";
    let bars = match bars {
        Ok(bars) => bars,
        Err(error @ BarsError::HeaderOnly) => return vec![Row::unknown(WHAT, error.to_string(), "be root")],
        Err(error) => return vec![Row::note(WHAT, error.to_string())],
    };
    if bars.is_empty() {
        return vec![Row::note(WHAT, "it has none")];
    }
    bars.iter().map(bar_row).collect()
}

fn bar_row(bar: &BarWindows) -> Row {
    const WHATS: [&str; 6] = ["bar 0", "bar 1", "bar 2", "bar 3", "bar 4", "bar 5"];
    let what = WHATS[usize::from(bar.index)];
    let windows = bar.parts.windows.iter().map(|w| format!("{:#x}+{}", w.offset, Bytes(w.size)));
    let excluded = bar
        .parts
        .excluded
        .iter()
        .map(|part| format!("{:#x}..{:#x} {}", part.range.start, part.range.end, part.reason));
    let (windows, excluded): (Vec<String>, Vec<String>) = (windows.collect(), excluded.collect());
    let size = Bytes(bar.size);
    match (windows.is_empty(), bar.parts.excluded.first()) {
        (false, None) => Row::ok(what, format!("{size}, all of it exported")),
        (false, Some(_)) => {
            Row::ok(what, format!("{size}, exported {}; not {}", windows.join(", "), excluded.join(", ")))
        }
        (true, Some(part)) if bar.parts.excluded.len() == 1 => {
            Row::note(what, format!("{size}, not exported: it {}", part.reason))
        }
        (true, _) => Row::note(what, format!("{size}, not exported: {}", excluded.join(", "))),
    }
}

/// What the machine would lose with it.
fn used(roots: &Roots, function: &Function) -> Option<Row> {
    let uses = holds::uses(roots, function);
    let first = uses.first()?;
    Some(Row::note("in use", format!("{first}; barkeep bind refuses it without --force")))
}

fn opened(probed: &Probed, windows: usize) -> Option<Row> {
    const WHAT: &str = "export";
    match probed {
        Probed::Exports { .. } => Some(match windows {
            0 => Row::note(WHAT, "it opens; there is nothing to export"),
            1 => Row::ok(WHAT, "its window was exported"),
            many => Row::ok(WHAT, format!("its {many} windows were exported")),
        }),
        Probed::Refused(why) => Some(Row::fail(WHAT, why.clone(), "the row dma-buf export")),
        Probed::Closed(why) => Some(Row::fail(
            WHAT,
            why.clone(),
            "end who has it open (fuser /dev/vfio/devices/*), or read on above",
        )),
        Probed::NotAsked => None,
    }
}

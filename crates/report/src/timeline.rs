//! A run as it goes on: a line for everything that happened, not for every record of it.

use crate::fold::Fold;
use crate::happening::{Happening, Said};
use crate::names::{self, Names};
use crate::style::{Style, Tone, WIDTH, fit};
use crate::time::{duration, lane_and_clock, moment};
use barkeep_check::kernel_lines::{Sign, sign};
use barkeep_journal::{Actor, DeviceAddress, Event, Header, Kind, Phase};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Columns of a line behind its time.
const ROOM: usize = WIDTH - 14;

/// What is known of a device between its lines.
#[derive(Default)]
struct Device {
    happening: Option<Happening>,
    /// When access to its first window went away.
    away_since: Option<u64>,
}

fn is_vmm_killed(event: &Event) -> bool {
    (event.kind, event.phase, event.actor) == (Kind::Process, Phase::End, Actor::Vmm)
        && event.text == "SIGKILL"
}

/// Writes a line for each happening, as events come in.
pub struct Timeline<W: Write> {
    out: W,
    style: Style,
    start: Option<u64>,
    names: Names,
    devices: BTreeMap<DeviceAddress, Device>,
    /// Actions under way, and how much had been told when each began.
    actions: BTreeMap<u32, (Event, u64)>,
    /// Happenings so far, told or counted.
    count: u64,
    fold: Fold,
}

impl<W: Write> Timeline<W> {
    /// A timeline of a run; its first line names lane and clock.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, header: Header, style: Style) -> io::Result<Self> {
        writeln!(out, "   time since the start of the run ({})", lane_and_clock(header))?;
        Ok(Self {
            out,
            style,
            start: None,
            names: Names::default(),
            devices: BTreeMap::new(),
            actions: BTreeMap::new(),
            count: 0,
            fold: Fold::default(),
        })
    }

    /// The next event.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        if event.kind != Kind::KernelLog {
            self.start.get_or_insert(event.time_ns);
        }
        match event.kind {
            Kind::RunStart => self.told(event, Tone::Quiet, &format!("{} starts", event.text)),
            Kind::RunEnd => {
                let status = event.result.unwrap_or(0);
                self.told(event, Tone::Quiet, &format!("the run ends with status {status}"))
            }
            Kind::DeviceOpen => {
                self.names.opened(event);
                let ids = event.text.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
                let what = format!("{}  opened {ids}", self.names.full(event.device));
                self.told(event, Tone::Quiet, what.trim_end())
            }
            Kind::BarExport => self.exported(event),
            Kind::Trigger
            | Kind::FindOut
            | Kind::P2pMap
            | Kind::P2pUnmap
            | Kind::SlotAdd
            | Kind::SlotRemove
            | Kind::Outage
            | Kind::Answered
            | Kind::Expect => self.handled(event),
            Kind::Landed | Kind::NotLanded | Kind::Faulted => self.dma(event),
            Kind::Administer | Kind::Hold | Kind::Request | Kind::DeviceError => self.outside(event),
            Kind::Interrupts => {
                let what = match event.value.unwrap_or(0) {
                    0 => format!("{}  {} off", self.names.full(event.device), event.text),
                    count => format!("{}  {} on, {count} vectors", self.names.full(event.device), event.text),
                };
                self.told(event, Tone::Quiet, &what)
            }
            Kind::Control => match (event.phase, event.result.unwrap_or(0)) {
                (Phase::Begin, _) => {
                    self.told(event, Tone::Notice, &format!("control socket: {}", event.text))
                }
                (_, 0) => Ok(()),
                (_, result) => {
                    let what = format!("control socket: {}: {}", event.text, names::result(result));
                    self.told(event, Tone::Bad, &what)
                }
            },
            Kind::Action => self.action(event),
            Kind::Expectation => self.expectation(event),
            Kind::Mark => self.whole(event, Tone::Quiet, &format!("mark  {}", event.text)),
            Kind::Degraded => self.degraded(event),
            Kind::Leftover if event.value.unwrap_or(0) > 0 => {
                let what = format!("LEFT OVER  {} {}", event.value.unwrap_or(0), event.text);
                self.told(event, Tone::Bad, &what)
            }
            Kind::KernelLog => match sign(&event.text) {
                Some(Sign::Headline(_) | Sign::Trace) => {
                    self.whole(event, Tone::Bad, &format!("KERNEL  {}", event.text.trim()))
                }
                Some(Sign::Edge) | None => Ok(()),
            },
            Kind::KernelTrace => {
                let what = format!(
                    "the kernel is traced, {} functions: that takes time of its own",
                    event.value.unwrap_or(0)
                );
                self.told(event, Tone::Notice, &what)
            }
            Kind::Lost => {
                let what = format!("LOST  {} records: {}", event.value.unwrap_or(1), event.text);
                self.told(event, Tone::Bad, &what)
            }
            Kind::VcpuFault | Kind::VcpuInternalError => {
                let shape = format!("vcpu{} {}", event.index, event.kind);
                let times = format!(", {} in a row", event.value.unwrap_or(1));
                self.line(event, Tone::Notice, (&shape, &format!("{shape}{times}")), None)
            }
            Kind::Process if is_vmm_killed(event) => self.vmm_killed(event),
            Kind::DeviceClose
            | Kind::DmabufClose
            | Kind::RamMap
            | Kind::Revoked
            | Kind::Live
            | Kind::AttachProbe
            | Kind::DmaStart
            | Kind::AccessCount
            | Kind::Leftover
            | Kind::Continuation
            | Kind::Process
            | Kind::ProcessStep
            | Kind::ImporterStep
            | Kind::ImporterEvent
            | Kind::KernelStep => Ok(()),
        }
    }

    /// No event follows: tells what was held back and what was left open.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<()> {
        let open: Vec<_> = self
            .devices
            .iter()
            .filter_map(|(address, device)| Some((*address, device.happening.as_ref()?)))
            .map(|(address, happening)| (address, happening.begun, happening.unsaid()))
            .collect();
        for (address, begun, said) in open {
            self.happened(address, begun, said)?;
        }
        for (action, _) in std::mem::take(&mut self.actions).into_values() {
            self.told(&action, Tone::Bad, &format!("action  {} … NOT OVER", action.text))?;
        }
        self.held_back()?;
        self.out.flush()
    }

    /// What it was at is over, and nobody says so.
    fn vmm_killed(&mut self, event: &Event) -> io::Result<()> {
        self.actions.retain(|_, (action, _)| action.actor == Actor::Lab);
        self.devices.values_mut().for_each(|device| device.happening = None);
        self.told(event, Tone::Notice, "the VMM is killed")
    }

    fn exported(&mut self, event: &Event) -> io::Result<()> {
        let result = match (event.phase, event.result) {
            (Phase::Begin, _) => return Ok(()),
            (_, None | Some(0)) => "exported".to_owned(),
            (_, Some(result)) => format!("NOT exported ({})", names::result(result)),
        };
        let tone = if event.result.unwrap_or(0) == 0 { Tone::Quiet } else { Tone::Notice };
        let bar = event.bar.unwrap_or(0);
        let (offset, size) = (event.address.unwrap_or(0), event.size.unwrap_or(0));
        let device = self.names.full(event.device);
        self.told(event, tone, &format!("{device}  BAR {bar} {result}, {size:#x} bytes at {offset:#x}"))
    }

    /// What others do with a device, and what the kernel says of it.
    fn outside(&mut self, event: &Event) -> io::Result<()> {
        let device = self.names.full(event.device);
        let (tone, what) = match (event.kind, event.phase, event.result.unwrap_or(0)) {
            (Kind::Administer, Phase::Begin, _) => (Tone::Quiet, format!("administrator: {}", event.text)),
            (Kind::Administer, _, 0) => return Ok(()),
            (Kind::Administer, _, result) => {
                (Tone::Notice, format!("administrator: {}", names::result(result)))
            }
            (Kind::Hold, Phase::Begin, _) => (Tone::Quiet, format!("held open by others: {}", event.text)),
            (Kind::Hold, _, 0) => (Tone::Quiet, "held open by others no longer".to_owned()),
            (Kind::Hold, _, result) => (Tone::Quiet, format!("not held: {}", names::result(result))),
            (Kind::Request, ..) => (Tone::Notice, "the kernel asks for it back".to_owned()),
            _ => (Tone::Bad, "the kernel tells of an error".to_owned()),
        };
        self.told(event, tone, &format!("{device}  {what}"))
    }

    fn handled(&mut self, event: &Event) -> io::Result<()> {
        let Some(address) = event.device else { return Ok(()) };
        let device = self.devices.entry(address).or_default();
        if (event.kind, event.phase) == (Kind::Outage, Phase::Begin) {
            device.away_since.get_or_insert(event.time_ns);
        }
        let happening = device.happening.get_or_insert_with(|| Happening::new(event));
        happening.line(event);
        if event.kind != Kind::Expect {
            return Ok(());
        }
        let live = event.value == Some(1);
        let away = device.away_since.map(|since| event.time_ns.saturating_sub(since));
        let (begun, said) = (happening.begun, happening.said(live, away));
        device.happening = None;
        if live {
            device.away_since = None;
        }
        self.happened(address, begun, said)
    }

    fn happened(&mut self, address: DeviceAddress, begun: u64, said: Said) -> io::Result<()> {
        let mut event = Event::new(Kind::Expect, Actor::Keeper).device(address);
        event.time_ns = begun;
        let Said { tone, shape, detail, away } = said;
        let key = format!("{}  {shape}", self.names.full(event.device));
        let mut text = format!("{key}{detail}");
        if text.chars().count() > ROOM {
            let detail = detail.replace("CPU and P2P", "CPU+P2P");
            text = format!("{}  {shape}{detail}", self.names.short(event.device));
        }
        self.line(&event, tone, (&key, &text), away)
    }

    fn dma(&mut self, event: &Event) -> io::Result<()> {
        let (shape, detail) = match (event.kind, event.text.as_str()) {
            // What CPUs do is in the verdict's numbers, and in the actions.
            (Kind::Landed | Kind::NotLanded, "cpu") => return Ok(()),
            (Kind::Faulted, _) => {
                let at = event.address.map_or_else(String::new, |address| format!(" at {address:#x}"));
                (format!("DMA by {} faulted", self.names.short(event.device)), at)
            }
            (kind, _) => {
                let did = if kind == Kind::Landed { "landed in" } else { "did not land in" };
                let offset = event.address.unwrap_or(0);
                let there = event.value.map_or_else(String::new, |value| format!(", {value:#x} is there"));
                (format!("DMA {did} {}", self.names.bar(event)), format!(" at {offset:#x}{there}"))
            }
        };
        self.line(event, Tone::Quiet, (&shape, &format!("{shape}{detail}")), None)
    }

    /// An action of the scenario has a line of its own if nothing else told of it: "decode
    /// off nvme" beside "nvme decode off" would be the same thing twice.
    fn action(&mut self, event: &Event) -> io::Result<()> {
        if event.phase == Phase::Begin {
            self.actions.insert(event.step, (event.clone(), self.count));
            return Ok(());
        }
        let Some((begin, told)) = self.actions.remove(&event.step) else { return Ok(()) };
        let (tone, end) = match (event.result, event.actor) {
            (None | Some(0), Actor::Scenario) if self.count > told => return Ok(()),
            (None | Some(0), _) => (Tone::Quiet, String::new()),
            (Some(status), Actor::Lab) => (Tone::Notice, format!(" … status {status}")),
            (Some(_), _) => (Tone::Bad, " … NOT MET".to_owned()),
        };
        let shape = format!("action  {}{end}", fit(&begin.text, WIDTH / 2));
        let took = event.time_ns.saturating_sub(begin.time_ns);
        // The lab's actions span others'.
        let at = if event.actor == Actor::Lab { event } else { &begin };
        self.line(at, tone, (&shape, &format!("{shape} ({})", duration(took))), None)
    }

    fn expectation(&mut self, event: &Event) -> io::Result<()> {
        if event.result.unwrap_or(0) == 0 {
            return Ok(());
        }
        self.whole(event, Tone::Bad, &format!("NOT MET  {}", event.text))
    }

    fn degraded(&mut self, event: &Event) -> io::Result<()> {
        let place =
            if event.device.is_some() { format!(" ({})", self.names.bar(event)) } else { String::new() };
        let result = event.result.map_or_else(String::new, |result| format!(": {}", names::result(result)));
        self.whole(event, Tone::Notice, &format!("degraded{place}  {}{result}", event.text))
    }

    /// A line that is always told.
    fn told(&mut self, event: &Event, tone: Tone, what: &str) -> io::Result<()> {
        self.held_back()?;
        self.write(event.time_ns, tone, what)
    }

    /// A line that is told unless it repeats to the letter.
    fn whole(&mut self, event: &Event, tone: Tone, text: &str) -> io::Result<()> {
        self.line(event, tone, (text, text), None)
    }

    /// A line that is told unless it repeats: what it has in common with others, and all of
    /// its text.
    fn line(
        &mut self,
        event: &Event,
        tone: Tone,
        (shape, text): (&str, &str),
        away: Option<u64>,
    ) -> io::Result<()> {
        self.count += 1;
        let (tell, before) = self.fold.take(shape, away);
        self.counted(before)?;
        if tell { self.write(event.time_ns, tone, text) } else { Ok(()) }
    }

    fn held_back(&mut self) -> io::Result<()> {
        let lines = self.fold.flush();
        self.counted(lines)
    }

    fn counted(&mut self, lines: Vec<String>) -> io::Result<()> {
        for line in lines {
            writeln!(self.out, "{:12}  {}", "", fit(&line, ROOM))?;
        }
        Ok(())
    }

    fn write(&mut self, time_ns: u64, tone: Tone, what: &str) -> io::Result<()> {
        let start = *self.start.get_or_insert(time_ns);
        let line = fit(&format!("{}  {what}", moment(time_ns, start)), WIDTH);
        writeln!(self.out, "{}", self.style.paint(tone, &line))
    }
}

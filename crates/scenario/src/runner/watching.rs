//! vCPUs that wait for an outage, and look and act inside it.

use super::{DeviceRef, RunError, Runner, Spot};
use crate::language::{Place, Sight};
use barkeep_journal::{Actor, Event, Kind};
use barkeep_platform::Board;
use barkeep_probe::mailbox::PHASE_OUT;
use barkeep_probe::{Command, Reply, Seen};

/// Between two looks at the outage word; an outage that is shorter may be missed.
const LOOK_EVERY_NS: u64 = 500_000;
/// After that much guest time a watching vCPU gives up.
const PATIENCE_NS: u64 = 10_000_000_000;

/// A vCPU that watches.
pub(super) struct Watching {
    vcpu: usize,
    at: String,
    spot: Spot,
    /// Whose prepared DMA it is to set going.
    engine: Option<DeviceRef>,
}

impl Runner<'_, '_> {
    pub(super) fn watch(&mut self, at: &Place, vcpu: usize, engine: Option<&str>) -> Result<bool, RunError> {
        let spot = self.spot(at)?;
        let word = self.world.board().outage_word(spot.device.index, spot.bar, spot.offset);
        let outage_word = word.ok_or_else(|| RunError::NoWindow(at.to_string()))?;
        let engine = engine.map(|name| self.device(name)).transpose()?;
        let bell = engine.and_then(|engine| self.doorbell(engine));
        if engine.is_some() && bell.is_none() {
            return Ok(self.expectation("a DMA was prepared before a vCPU is to set it going", false));
        }
        self.world.board().set_stop_word(vcpu, 0);
        let command = Command::Watch {
            outage_word,
            address: spot.address,
            bell: bell.map_or(0, |bell| bell.address),
            bell_value: bell.map_or(0, |bell| bell.value),
            stop_word: Board::stop_word(vcpu),
            pause_ns: LOOK_EVERY_NS,
            max_ns: PATIENCE_NS,
        };
        self.world.send(vcpu, command)?;
        self.watching.push(Watching { vcpu, at: at.to_string(), spot, engine });
        Ok(true)
    }

    /// What a watching vCPU saw. One that is to have seen nothing is stopped: it has nothing left
    /// to wait for.
    pub(super) fn watched(&mut self, vcpu: usize, expect: Sight) -> Result<bool, RunError> {
        let Some(place) = self.watching.iter().position(|watching| watching.vcpu == vcpu) else {
            // With others about, it may have been told something else since.
            let held = expect == Sight::Any;
            return Ok(self.expectation("a vCPU watches before it is asked what it saw", held));
        };
        let Watching { vcpu, at, spot, engine } = self.watching.remove(place);
        if expect != Sight::Ones {
            self.world.board().set_stop_word(vcpu, 1);
        }
        let reply = self.world.receive(vcpu)?;
        let Reply::Watched { seen, looks: _ } = reply else {
            return Err(RunError::Confused(reply));
        };
        if let Some(engine) = engine {
            self.rung(engine, seen.is_some())?;
        }
        let Some(Seen { value, before, after }) = seen else {
            let held = expect != Sight::Ones;
            return Ok(self.expectation(&format!("{at}: vCPU {vcpu} saw no outage"), held));
        };
        let inside = before == after && before % 4 == PHASE_OUT;
        if inside && value == u32::MAX {
            let event = Event::new(Kind::AccessCount, Actor::Guest).index(vcpu as u16);
            self.world.board().journal().emit(event.text("out, all ones came back").value(1));
            self.not_landed(vcpu, spot, 4);
        }
        let ones = inside && value == u32::MAX;
        let held = match expect {
            Sight::Ones => ones,
            Sight::Nothing => false,
            Sight::Any => true,
        };
        let what =
            format!("{at}: vCPU {vcpu} read {value:#010x}, outage word {before} before, {after} after");
        Ok(self.expectation(&what, held))
    }

    /// Ends what nobody asked about.
    pub(super) fn end_watching(&mut self) {
        while let Some(vcpu) = self.watching.last().map(|watching| watching.vcpu) {
            self.stop_watching(vcpu);
        }
    }

    /// Ends the watching of a vCPU, if it is at that. What it saw is of no interest any more.
    pub(super) fn stop_watching(&mut self, vcpu: usize) {
        let Some(place) = self.watching.iter().position(|watching| watching.vcpu == vcpu) else { return };
        let Watching { engine, .. } = self.watching.remove(place);
        self.world.board().set_stop_word(vcpu, 1);
        let rung = matches!(self.world.receive(vcpu), Ok(Reply::Watched { seen: Some(_), looks: _ }));
        if let Some(engine) = engine {
            // Only of an engine that has not been loaded, and this one was.
            let _ = self.rung(engine, rung);
        }
    }
}

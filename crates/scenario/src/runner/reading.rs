//! What a guest CPU reads, and what it costs when it does not.

use super::{RunError, Runner, Spot};
use crate::guest_cpu::nanoseconds;
use crate::language::{Content, Place};
use barkeep_journal::{Actor, Clock, Event, Kind, SeenBy};
use barkeep_probe::{Command, Reply};
use std::time::Duration;

impl Runner<'_, '_> {
    pub(super) fn verify(
        &mut self,
        at: &Place,
        size: u64,
        pattern: u32,
        vcpu: usize,
        expect: Content,
    ) -> Result<bool, RunError> {
        let spot = self.spot(at)?;
        let reply =
            self.cpu(vcpu).call(Command::Verify { address: spot.address, length: size, pattern, step: 0 })?;
        let Reply::Verified { mismatch } = reply else {
            return Err(RunError::Confused(reply));
        };
        let found = mismatch.map_or(pattern, |m| m.first_value);
        let words = mismatch.map_or(0, |m| m.words);
        if found != u32::MAX {
            self.decide(spot, found);
        }
        let held = match expect {
            Content::Holds => mismatch.is_none(),
            Content::Ones => words == size / 4 && found == u32::MAX,
            Content::Differs => mismatch.is_some() && found != u32::MAX,
            Content::Any => true,
        };
        // What else stands there may be anything's: it proves neither.
        let (all, none) = (mismatch.is_none(), words == size / 4 && found == u32::MAX);
        let looked_for = |content| expect == content || expect == Content::Any;
        if looked_for(Content::Holds) && all {
            let landed = Event::new(Kind::Landed, Actor::Guest).index(vcpu as u16);
            let landed = landed.device(spot.device.address).bar(spot.bar).range(spot.offset, size);
            let landed = landed.value(pattern.into()).seen_by(SeenBy::GuestRead);
            self.world.board().journal().emit(landed.text("cpu"));
        }
        if looked_for(Content::Ones) && none && !at.moved_from {
            self.not_landed(vcpu, spot, size);
        }
        let what = format!("{at} {expect:?} {pattern:#010x}: first other word {found:#010x}, {words} in all");
        Ok(self.expectation(&what, held))
    }

    /// A guest CPU read all ones: nobody answers.
    pub(super) fn not_landed(&self, vcpu: usize, spot: Spot, size: u64) {
        let event = Event::new(Kind::NotLanded, Actor::Guest).index(vcpu as u16).device(spot.device.address);
        let event = event.bar(spot.bar).range(spot.offset, size).value(u32::MAX.into());
        self.world.board().journal().emit(event.seen_by(SeenBy::GuestRead).text("cpu"));
    }

    pub(super) fn idle(&mut self, time: Duration, vcpu: usize) -> Result<bool, RunError> {
        let before = self.world.cpu_time();
        self.cpu(vcpu).call(Command::Sleep { ns: nanoseconds(time) })?;
        let used = self.world.cpu_time().saturating_sub(before);
        // Only virtual time is exact. A host that is a guest itself counts what others took of its CPU, and an
        // emulator whose CPU threads compete for the host's counts waiting too. Who polls uses all of it.
        let share = match self.world.board().journal().clock() {
            Clock::Virtual => 100,
            Clock::Hardware => 10,
            Clock::Emulated => 4,
        };
        let (allowed, used) = (time / share, used.as_micros());
        let held = used < allowed.as_micros();
        let what = format!(
            "idle for {} us: under {} us of CPU time, {used} us used",
            time.as_micros(),
            allowed.as_micros()
        );
        Ok(self.expectation(&what, held))
    }
}

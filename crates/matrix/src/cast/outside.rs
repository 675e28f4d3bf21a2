//! What others do, past the VMM: an administrator, a second holder of the device file.

use super::{Cast, Told};
use crate::device::{Bus, Reset};
use crate::story::Story;
use crate::wanted::End;
use barkeep_scenario::Action;
use barkeep_scenario::language::{Content, Fate, Unseen};

impl<'a> Cast<'a> {
    pub(super) fn sysfs_reset(&self) -> Told<'a> {
        match self.victim.reset {
            Reset::Never | Reset::Fails => Err("there is no way to reset it".into()),
            Reset::Works => {
                let mut story = self.begin();
                if let Some(register) = &self.victim.cleared {
                    story.set(register);
                }
                self.reset_from_outside(&mut story, self.name());
                if let Some(register) = &self.victim.cleared {
                    story.is_cleared(register);
                }
                story.all_land();
                Ok((story, End::Kept))
            }
        }
    }

    pub(super) fn pf_reset(&self) -> Told<'a> {
        let physical = self.physical()?.to_owned();
        let functions = self.functions().map(|(device, _)| device.name.clone());
        let mut story = self.begin();
        self.reset_from_outside(&mut story, physical);
        // They have lost what their drivers set up, and with QEMU their decode bit: a driver sets it.
        for device in std::iter::once(self.name()).chain(functions) {
            story.act(Action::DecodeOn { device, vcpu: 0, background: false });
        }
        story.verify(self.target, Content::Differs);
        story.all_land();
        Ok((story, End::Kept))
    }

    fn reset_from_outside(&self, story: &mut Story<'a>, device: String) {
        story.act(Action::SysfsReset { device, expect: "ok".into() });
    }

    pub(super) fn unseen_decode(&self) -> Told<'a> {
        if self.victim.always_decodes {
            return Err("a virtual function decodes always: see decode-off".into());
        }
        let mut story = self.begin();
        let unseen = |what| self.by_others(what, "ok");
        story.act(unseen(Unseen::DecodeOff));
        story.away(self.engine, self.target);
        let back = [unseen(Unseen::DecodeOn), Action::Suspect { device: self.name() }];
        back.iter().for_each(|action| story.act(action.clone()));
        story.all_land();
        // At once, which is what is measured.
        story.act(unseen(Unseen::DecodeOff));
        story.verify(self.target, Content::Ones);
        back.into_iter().for_each(|action| story.act(action));
        story.all_land();
        Ok((story, End::Back))
    }

    pub(super) fn unseen_reset(&self) -> Told<'a> {
        match self.victim.reset {
            Reset::Never => Err("nothing resets it (EINVAL)".into()),
            Reset::Fails => Err("its resets fail".into()),
            Reset::Works => Ok(self.unseen(Unseen::DeviceReset, "ok")),
        }
    }

    pub(super) fn unseen_hot_reset(&self) -> Told<'a> {
        match &self.victim.bus {
            Bus::Root | Bus::Simulated => Err("on the root bus: refused before it revokes (ENODEV)".into()),
            Bus::Behind(_) => Ok(self.unseen(Unseen::HotReset, "ok")),
            Bus::BehindSlow(_) => Ok(self.unseen(Unseen::HotReset, "ENOTTY")),
        }
    }

    fn by_others(&self, what: Unseen, expect: &str) -> Action {
        let bar = (what == Unseen::Unmap).then_some(self.target.place.bar);
        Action::Unseen { device: self.name(), what, bar, offset: 0, expect: expect.into() }
    }

    /// The first DMA is lost; by its fault record the VMM notices.
    pub(super) fn unseen(&self, what: Unseen, expect: &str) -> (Story<'a>, End) {
        let mut story = self.begin();
        story.fault_log();
        story.act(self.by_others(what, expect));
        story.dma(self.engine, self.target, Fate::Lost);
        if what == Unseen::HotReset {
            for (_, target) in self.siblings() {
                story.fault_log();
                story.dma(self.engine, target, Fate::Lost);
            }
        }
        story.all_land();
        (story, End::DmaBack)
    }
}

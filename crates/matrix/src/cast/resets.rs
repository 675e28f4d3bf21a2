//! What resets a device, or is to.

use super::{Cast, Told};
use crate::device::{Bus, Flr, Reset};
use crate::story::Lasts;
use crate::wanted::End;
use barkeep_scenario::Action;

impl<'a> Cast<'a> {
    pub(super) fn flr(&self) -> Told<'a> {
        let flr = Action::Flr { device: self.name(), vcpu: 0, background: false };
        match self.victim.flr {
            Flr::NoRegister => Err("no PCI Express capability: there is no such bit".into()),
            Flr::Ignored => Ok(self.refused("ignored", flr)),
            Flr::Capable if self.victim.reset == Reset::Fails => Err("it fails: see failed-reset".into()),
            Flr::Capable => self.over_at_once(Lasts::Long, flr),
        }
    }

    pub(super) fn af_flr(&self) -> Told<'a> {
        if !self.victim.af {
            return Err(match self.victim.bus {
                Bus::Simulated => "no Advanced Features capability".into(),
                Bus::Root | Bus::Behind(_) | Bus::BehindSlow(_) => {
                    "no device of QEMU's has an Advanced Features capability; lane model has".into()
                }
            });
        }
        self.over_at_once(Lasts::Long, Action::AfFlr { device: self.name(), vcpu: 0, background: false })
    }

    pub(super) fn device_reset(&self) -> Told<'a> {
        match self.victim.reset {
            Reset::Never | Reset::Fails => Ok(self.refused("EINVAL", self.reset("EINVAL"))),
            // A reset other than by FLR may take less than 100 ms.
            Reset::Works if self.victim.flr == Flr::Capable => {
                self.over_at_once(Lasts::Long, self.reset("ok"))
            }
            Reset::Works => self.short(self.reset("ok")),
        }
    }

    pub(super) fn reset(&self, expect: &str) -> Action {
        Action::DeviceReset { device: self.name(), expect: expect.into() }
    }

    pub(super) fn failed_reset(&self) -> Told<'a> {
        let methods = |present| Action::ResetMethods { device: self.name(), present };
        match self.victim.reset {
            Reset::Never => Err("nothing resets it: refused before it revokes (EINVAL)".into()),
            // Not even when it was opened; the bit in the register is there all the same.
            Reset::Fails => self.short(Action::Flr { device: self.name(), vcpu: 0, background: false }),
            Reset::Works => {
                let mut story = self.begin();
                story.act(methods(false));
                self.shortly(&mut story, &self.reset("ENOTTY"));
                if self.victim.flr == Flr::Capable {
                    self.shortly(
                        &mut story,
                        &Action::Flr { device: self.name(), vcpu: 0, background: false },
                    );
                }
                story.act(methods(true));
                story.all_land();
                Ok((story, End::Back))
            }
        }
    }

    pub(super) fn hot_reset(&self) -> Told<'a> {
        let hot_reset = |expect: &str| Action::HotReset { device: self.name(), expect: expect.into() };
        match &self.victim.bus {
            Bus::Root | Bus::Simulated => Ok(self.refused("ENODEV", hot_reset("ENODEV"))),
            Bus::BehindSlow(port) => Err(format!("behind `{port}` it fails: see failed-hot-reset")),
            Bus::Behind(_) => self.short(hot_reset("ok")),
        }
    }

    pub(super) fn failed_hot_reset(&self) -> Told<'a> {
        match &self.victim.bus {
            Bus::Root | Bus::Simulated => Err("on the root bus: refused before it revokes (ENODEV)".into()),
            Bus::Behind(port) => Err(format!("behind `{port}` it works: the link comes back")),
            Bus::BehindSlow(_) => {
                let hot_reset = Action::HotReset { device: self.name(), expect: "ENOTTY".into() };
                self.over_at_once(Lasts::Long, hot_reset)
            }
        }
    }
}

//! I2: errnos.

use crate::story::{BAR, DEVICE, How, SIZE, Story, about, away, breaks, holds, named, restored};
use barkeep_check::Invariant::I2;
use barkeep_journal::{Actor, Event, Kind, Trigger};

#[test]
fn attach_while_revoked_is_enodev() {
    for (result, what) in [(0, "success"), (-17, "EEXIST"), (-22, "EINVAL")] {
        let mut story = Story::new();
        story.handle(away(Trigger::DecodeOff));
        story.attach_probe(-19);
        story.attach_probe(result);
        let what =
            format!("attach_probe of BAR 2 of 0000:00:03.0 while it is revoked gave {what}, not ENODEV");
        breaks(&story.closed(), I2, &what);
    }
}

#[test]
fn what_refuses_earlier_may() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    story.attach_probe(-95);
    story.handle(restored(Trigger::DecodeOn));
    story.attach_probe(0);
    holds(&story.closed());
}

/// The kernel may reset the function after it has told of an error, and vfio-pci revokes nothing for that.
#[test]
fn without_decode_after_an_error_a_dma_buf_may_be_live() {
    let broken = |again: bool| {
        let mut story = Story::new();
        story.point(named(Kind::DeviceError, Trigger::None));
        story.handle(away(Trigger::Suspect));
        story.attach_probe(0);
        story.attach_probe(-19);
        // From the guest's next write on the kernel knows.
        if again {
            story.handle(away(Trigger::DecodeOff));
            story.attach_probe(0);
        }
        let verdict = story.closed();
        verdict.findings.iter().filter(|finding| finding.invariant == I2).count()
    };
    assert_eq!((broken(false), broken(true)), (0, 1));
}

#[test]
fn an_attach_during_a_reset_is_not_judged() {
    for result in [0, -19] {
        let mut story = Story::new();
        story.withdraw(Trigger::Flr);
        let flr = story.begin(named(Kind::Trigger, Trigger::Flr));
        story.attach_probe(result);
        story.end(flr, 0);
        story.handle(restored(Trigger::Flr));
        let verdict = story.closed();
        assert!(verdict.findings.iter().all(|finding| finding.invariant != I2), "{:#?}", verdict.findings);
    }
}

#[test]
fn an_observer_that_only_tells_the_end_is_not_judged_beside_an_action() {
    let tell = |story: &mut Story, kind_of_step: bool| {
        let probe = Event::new(Kind::AttachProbe, Actor::Observer).device(DEVICE).bar(BAR);
        match kind_of_step {
            true => story.step(probe, 0),
            false => drop(story.point(probe.result(0))),
        }
    };
    for (kind_of_step, findings, undecided) in [(false, 0, 1), (true, 1, 0)] {
        let mut story = Story::new();
        story.handle(away(Trigger::DecodeOff));
        let action = story.action("sleep");
        tell(&mut story, kind_of_step);
        story.end(action, 0);
        let verdict = story.closed();
        assert_eq!((verdict.findings.len(), verdict.counts.undecided), (findings, undecided));
    }
}

#[test]
fn an_observer_that_tells_after_the_last_action_is_not_judged_either() {
    let mut story = Story::new();
    let action = story.action("attach in the background");
    story.end(action, 0);
    story.handle(away(Trigger::DecodeOff));
    story.point(Event::new(Kind::AttachProbe, Actor::Observer).device(DEVICE).bar(BAR).result(0));
    let verdict = story.closed();
    holds(&verdict);
    assert_eq!(verdict.counts.undecided, 1);
}

#[test]
fn after_the_close_attach_is_enodev_for_ever() {
    let mut story = Story::new();
    story.handle(away(Trigger::Close));
    story.attach_probe(-19);
    story.handle(How { result: -19, ..away(Trigger::DecodeOn) });
    story.attach_probe(0);
    story.point(about(Kind::DmabufClose, Trigger::None).range(0, SIZE));
    breaks(
        &story.over(),
        I2,
        "attach_probe of BAR 2 of 0000:00:03.0 while it is revoked gave success, not ENODEV",
    );
}

#[test]
fn a_dma_buf_that_is_closed_has_other_errnos() {
    let mut story = Story::new();
    story.handle(away(Trigger::Close));
    story.point(about(Kind::DmabufClose, Trigger::None).range(0, SIZE));
    story.attach_probe(-2);
    holds(&story.over());
}

#[test]
fn map_gives_what_it_is_known_to_give() {
    let mut story = Story::new();
    story.handle(How { map: Some(-5), ..restored(Trigger::Flr) });
    story.handle(restored(Trigger::Flr));
    let verdict = story.closed();
    assert_eq!(verdict.findings[0].what, "p2p_map of BAR 2 of 0000:00:03.0 gave EIO");
    assert_eq!(verdict.findings[0].invariant, I2);
}

#[test]
fn eexist_only_where_something_is() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.let_through(Trigger::Flr, 0);
    story.find_out(Trigger::Flr, 1);
    story.map(Trigger::Flr, -17);
    story.step(about(Kind::P2pUnmap, Trigger::Flr), 0);
    story.map(Trigger::Flr, -17);
    story.map(Trigger::Flr, 0);
    story.put_back(Trigger::Flr, 0);
    story.expect(Trigger::Flr, 1);
    breaks(&story.closed(), I2, "p2p_map of BAR 2 of 0000:00:03.0 gave EEXIST where nothing is mapped");
}

#[test]
fn unmap_gives_all_of_it_or_enoent_for_nothing() {
    let mut story = Story::new();
    story.handle(How { unmap: -2, ..restored(Trigger::Flr) });
    breaks(&story.closed(), I2, "p2p_unmap of BAR 2 of 0000:00:03.0 gave ENOENT although it was mapped");

    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.let_through(Trigger::Flr, 0);
    story.find_out(Trigger::Flr, 1);
    let unmap = story.begin(about(Kind::P2pUnmap, Trigger::Flr));
    story.end(unmap.range(crate::story::AT, 0), 0);
    story.step(about(Kind::P2pUnmap, Trigger::Flr), -2);
    story.map(Trigger::Flr, 0);
    story.put_back(Trigger::Flr, 0);
    story.expect(Trigger::Flr, 1);
    breaks(&story.closed(), I2, "p2p_unmap of BAR 2 of 0000:00:03.0 took 0x0 bytes away, not 0x1000");
}

#[test]
fn a_config_write_succeeds_and_a_reset_may_not() {
    let mut story = Story::new();
    story.handle(How { result: -11, ..restored(Trigger::DeviceReset) });
    holds(&story.closed());

    let mut story = Story::new();
    story.handle(How { result: -11, ..restored(Trigger::Flr) });
    breaks(&story.closed(), I2, "flr of 0000:00:03.0 gave EAGAIN");
}

#[test]
fn exports_and_register_reads_have_their_errnos() {
    let mut story = Story::new();
    let export = Event::new(Kind::BarExport, Actor::Vmm).device(DEVICE).bar(0).range(0, SIZE);
    story.step(export.clone(), -25);
    story.step(export, -14);
    story.step(named(Kind::FindOut, Trigger::Suspect), -5);
    let verdict = story.closed();
    let what: Vec<_> = verdict.findings.iter().map(|f| (f.invariant, f.what.as_str())).collect();
    let expected = [
        (I2, "exporting BAR 0 of 0000:00:03.0 gave EFAULT"),
        (I2, "reading the registers of 0000:00:03.0 gave EIO"),
    ];
    assert_eq!(what, expected);
}

use super::*;

#[test]
fn every_cell_is_a_scenario_or_a_reason() {
    for name in Column::names() {
        let column = Column::named(name).unwrap();
        for trigger in Trigger::ALL {
            match Cell::of(trigger, &column) {
                Cell::Never(why) => assert!(!why.is_empty(), "{trigger} on {name}"),
                Cell::Run(job) => {
                    let text = job.scenario.to_toml().unwrap();
                    let read = Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
                    assert_eq!(read, job.scenario);
                }
            }
        }
    }
}

/// What the devices have decides, and each trigger is on some machine.
#[test]
fn each_trigger_is_somewhere_and_each_machine_has_some() {
    let columns: Vec<Column> = Column::names().map(|name| Column::named(name).unwrap()).collect();
    let runs = |trigger, column: &Column| matches!(Cell::of(trigger, column), Cell::Run(_));
    for trigger in Trigger::ALL {
        assert!(columns.iter().any(|column| runs(trigger, column)), "{trigger} is nowhere");
    }
    for column in &columns {
        let count = Trigger::ALL.into_iter().filter(|trigger| runs(*trigger, column)).count();
        assert!(count >= 8, "{}: {count}", column.name);
    }
    let why = |trigger, name| match Cell::of(trigger, &Column::named(name).unwrap()) {
        Cell::Never(why) => why,
        Cell::Run(_) => String::new(),
    };
    assert!(why(Trigger::SriovOff, "twins").contains("virtual function"));
    assert!(why(Trigger::D3hot, "igb-vfs").contains("power management"));
    assert!(why(Trigger::HotReset, "slow-port").contains("`port`"));
    assert!(why(Trigger::AfFlr, "nvme-edu").contains("QEMU"));
}

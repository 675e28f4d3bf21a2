use super::*;

#[test]
fn three_figures_and_a_unit() {
    for (ns, written) in [
        (0, "0 us"),
        (57_149, "57.1 us"),
        (999_400, "999 us"),
        (999_600, "1.00 ms"),
        (104_400_000, "104 ms"),
        (1_049_000_000, "1.05 s"),
    ] {
        assert_eq!(time(ns), written);
    }
}

#[test]
fn a_table_fits_and_says_why_cells_are_empty() {
    let columns: Vec<Column> = Column::names().map(|name| Column::named(name).unwrap()).collect();
    let mut table = Table::new(&columns);
    let never = |why: &str| Outcome::Never(why.to_owned());
    let away = Away { both_ns: Some(104_400_000), ..Away::default() };
    for trigger in Trigger::ALL {
        let outcome = |n: usize| match n {
            0 => Outcome::Passed { end: End::Back, away },
            1 => Outcome::Passed { end: End::Gone, away },
            2 => Outcome::Passed { end: End::Refused("ENODEV"), away },
            3 => Outcome::Failed("it broke".into()),
            n => never(if n % 2 == 0 { "no such bit" } else { "no such bus" }),
        };
        table.row(trigger, (0..columns.len()).map(outcome).collect());
    }
    let text = table.print(Form::Plain);
    assert!(text.lines().all(|line| line.len() <= 120), "{text}");
    assert!(text.contains("flr               104 ms     gone       ENODEV     FAIL [1]"), "{text}");
    let notes: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(notes, ["[1] it broke", "[2] no such bit", "[3] no such bus"]);
    assert!(table.print(Form::Markdown).contains("| flr | 104 ms | gone | ENODEV |"));
}

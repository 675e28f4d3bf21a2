//! The smallest program that is both halves of the lab: run normally it boots itself inside
//! QEMU, inside it is PID 1 and, as a child of that, the command.
//!
//!     lab_smoke KERNEL OUT [fast] [dry] [KEY=VALUE…] -- hello|spin|crash|hang|fill|devices|leave|ward
//!
//! Keys: `timeout` (seconds), `topology`, `share`, `carry`, `append`. Statuses are the lab's; a
//! command that ends by itself ends with 7.

use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_lab::{Carried, LabError, Request, Topology, dry_run, inner, run, ward};
use std::error::Error;
use std::fs::{self, File};
use std::time::Duration;

fn main() {
    if inner::is_lab_init() {
        inner::init_main();
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let inside = std::env::var_os("BARKEEP_JOURNAL").is_some();
    let status = if inside { command(&arguments) } else { outside(&arguments) };
    std::process::exit(status.unwrap_or_else(|error| {
        eprintln!("lab_smoke: {error}");
        error.downcast_ref::<LabError>().map_or(125, LabError::exit_code)
    }));
}

fn outside(arguments: &[String]) -> Result<i32, Box<dyn Error>> {
    let split = arguments.iter().position(|word| word == "--").ok_or("no -- before the command")?;
    let (options, command) = (&arguments[..split], &arguments[split + 1..]);
    let [kernel, out, options @ ..] = options else { return Err("KERNEL and OUT are needed".into()) };
    let setting = |key: &str| options.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let request = Request {
        kernel: kernel.into(),
        topology: Topology::named_or_file(setting("topology").unwrap_or("nvme-edu"))
            .map_err(LabError::from)?,
        fast: options.iter().any(|word| word == "fast"),
        timeout: Duration::from_secs(setting("timeout").unwrap_or("60").parse()?),
        out: out.into(),
        importer: None,
        share: setting("share").map(Into::into),
        carried: setting("carry").map(|host| Carried::new(0, host)).into_iter().collect(),
        command: command.to_vec(),
        replay: None,
        append: setting("append").unwrap_or_default().to_owned(),
    };
    if options.iter().any(|word| word == "dry") {
        println!("{}", dry_run(&request)?);
        return Ok(0);
    }
    let mut count = 0;
    let outcome = run(&request, &mut |_, _| count += 1)?;
    println!("{count} events; {outcome}");
    Ok(outcome.exit_code())
}

fn command(arguments: &[String]) -> Result<i32, Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name);
    let file = File::options().read(true).write(true).open(variable("BARKEEP_JOURNAL")?)?;
    let journal = Journal::join(file, variable("BARKEEP_JOURNAL_SIZE")?.parse()?)?;
    let say = |text: &str| journal.emit(Event::new(Kind::Action, Actor::Scenario).text(text));
    say("hello from inside");
    match arguments.first().map(String::as_str) {
        Some("crash") => std::process::abort(),
        Some("hang") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        Some("fill") => fill(),
        Some("leave") => drop(std::process::Command::new("/init").arg("hang").spawn()?),
        Some("devices") => println!("{}", variable("BARKEEP_DEVICES")?),
        Some("write") => {
            fs::write(format!("/sys/bus/pci/{}", arguments[1]), &arguments[2])?;
            return Ok(0);
        }
        Some("show") => print!("{}", fs::read_to_string(&arguments[1])?),
        Some("spin") => spin(&journal),
        Some("ward") => ward(&arguments[1..], &journal)?,
        _ => {}
    }
    println!("hello on stdout");
    eprintln!("hello on stderr");
    fs::create_dir(format!("{}/sub", variable("BARKEEP_OUT")?))?;
    fs::write(format!("{}/sub/hello.txt", variable("BARKEEP_OUT")?), "hello in a file\n")?;
    say("goodbye");
    Ok(7)
}

/// Writes `FILE=VALUE…` below `/sys/bus/pci`, has the machine put right, and says what is
/// where and whose. With `hold=FILE` first, that file stays open; what is written after `&`
/// is written by a process of its own, since it may wait.
fn ward(disturb: &[String], journal: &Journal) -> Result<(), Box<dyn Error>> {
    let mut held = Vec::new();
    for word in disturb {
        let (file, value) = word.split_once('=').ok_or("not FILE=VALUE")?;
        match (file, file.strip_prefix('&')) {
            ("hold", _) => held.push(File::options().read(true).write(true).open(value)?),
            (_, Some(file)) => {
                drop(std::process::Command::new("/init").args(["write", file, value]).spawn()?)
            }
            (_, None) => fs::write(format!("/sys/bus/pci/{file}"), value)?,
        }
    }
    // What writes beside us has begun to wait.
    std::thread::sleep(Duration::from_millis(100));
    let found = ward::put_right(journal);
    drop(held);
    for (name, address) in found? {
        let folder = format!("/sys/bus/pci/devices/{address}");
        let driver = fs::read_link(format!("{folder}/driver")).ok();
        let driver = driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
        let methods = fs::read_to_string(format!("{folder}/reset_method")).unwrap_or_default();
        println!("{name}={address} {} [{}]", driver.as_deref().unwrap_or("nobody"), methods.trim());
    }
    Ok(())
}

/// Takes all the memory there is.
fn fill() {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1u8; 1 << 20]);
    }
}

/// Threads that get in each other's way: what would show a run that is not the same twice.
fn spin(journal: &Journal) {
    std::thread::scope(|scope| {
        for thread in 0..4u16 {
            scope.spawn(move || {
                for round in 0..50u64 {
                    let event = Event::new(Kind::Action, Actor::Scenario).index(thread);
                    journal.emit(event.value(round).text("round"));
                    std::thread::sleep(Duration::from_micros(u64::from(thread) * 100 + round));
                }
            });
        }
    });
}

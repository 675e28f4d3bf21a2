//! `ctl`: a word to a VMM that runs.

use crate::exit::{Exit, UsageExt, Wrong, wrong};
use anyhow::Context;
use barkeep_control::{ANSWER_LIMIT, Answer, Command, Done, Greeting, Refusal, Request};
use barkeep_journal::DeviceAddress;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A VMM greets at once; one that is stopped, or no VMM at all, does not.
const GREETING: Duration = Duration::from_secs(10);

/// Options of `ctl`.
#[derive(Debug, clap::Args)]
pub struct CtlOptions {
    /// The control socket: what `run --control` was given.
    path: PathBuf,
    /// What is to be done.
    #[command(subcommand)]
    what: What,
    /// Print the answer as it comes: JSON; docs/interfaces.md describes it.
    #[arg(long, global = true)]
    json: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum What {
    /// Say what there is: whether the guest runs, its devices, what of them is mapped.
    List,
    /// Take a device out of the guest; the VMM gives it up.
    Remove {
        /// Its PCI address on the host.
        #[arg(value_name = "BDF")]
        device: DeviceAddress,
    },
    /// Reset a device, and map what the reset took away.
    Reset {
        /// Its PCI address on the host.
        #[arg(value_name = "BDF")]
        device: DeviceAddress,
    },
    /// Stop the guest's vCPUs.
    Pause,
    /// Let them go on.
    Resume,
    /// End the VMM, which gives everything back; waits until it has.
    Quit,
}

impl From<What> for Command {
    fn from(what: What) -> Self {
        match what {
            What::List => Self::List,
            What::Remove { device } => Self::Remove(device),
            What::Reset { device } => Self::Reset(device),
            What::Pause => Self::Pause,
            What::Resume => Self::Resume,
            What::Quit => Self::Quit,
        }
    }
}

/// Asks, waits for the answer, prints it.
///
/// # Errors
/// Nobody answers there, or what is asked is refused.
pub fn ctl(options: &CtlOptions) -> anyhow::Result<Exit> {
    let CtlOptions { path, what, json } = options;
    let mut stream = connect(path)?;
    let mut input = BufReader::new(stream.try_clone().context("cannot duplicate a socket")?);
    greet(&stream, &mut input).usage(format!("{} is no control socket of a VMM", path.display()))?;
    let request = Request { id: None, command: (*what).into() };
    stream.write_all(request.print().as_bytes()).context("the VMM has hung up")?;
    let line = line(&mut input).context("no answer")?;
    if *json {
        print(&line);
    }
    match Answer::parse(line.as_bytes())?.outcome {
        Ok(done) => {
            if done == Done::Quit {
                // It hangs up last of all.
                let _ = input.read_to_end(&mut Vec::new());
            }
            if !*json {
                print(&done.to_string());
            }
            Ok(Exit::Pass)
        }
        Err(refusal) => Err(refused(refusal, request.command)),
    }
}

fn refused(refusal: Refusal, command: Command) -> anyhow::Error {
    let exit = if refusal.kind.is_input() { Exit::Usage } else { Exit::Broken };
    anyhow::Error::new(refusal).context(Wrong::new(exit, command.to_string()))
}

fn connect(path: &Path) -> anyhow::Result<UnixStream> {
    let at = path.display();
    UnixStream::connect(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong(Exit::Usage, format!("there is no control socket at {at}")),
        std::io::ErrorKind::ConnectionRefused => {
            wrong(Exit::Usage, format!("nobody listens at {at}: its VMM is gone"))
        }
        _ => anyhow::Error::new(error).context(Wrong::new(Exit::Usage, format!("cannot connect to {at}"))),
    })
}

fn greet(stream: &UnixStream, input: &mut BufReader<UnixStream>) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(GREETING)).context("cannot set a time limit")?;
    let greeting = line(input).context("it does not greet")?;
    Greeting::parse(greeting.as_bytes())?;
    // A reset takes as long as it takes.
    stream.set_read_timeout(None).context("cannot take a time limit off")
}

fn line(input: &mut BufReader<UnixStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    let length = input.by_ref().take(ANSWER_LIMIT as u64).read_line(&mut line)?;
    if length == 0 {
        anyhow::bail!("the VMM has hung up");
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

fn print(text: &str) {
    // A reader that is gone has read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

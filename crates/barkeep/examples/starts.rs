//! How long VMMs take from their start to their guest's PID 1, and what memory they take besides the guest's: in
//! the lab, by `barkeep lab --fast --share DIR -- exec starts KERNEL ROUNDS`. All get the same kernel, 512 MiB,
//! one vCPU, no device, and an initrd of which this program is the PID 1; each in turn, round by round, so that
//! what the machine does meanwhile meets all of them.
//!
//! VMMs are found where scripts/bench-starts puts them: /init (Barkeep), /share/qemu, /share/alioth. One line each and
//! round: the VMM, milliseconds, KiB beyond the guest's RAM. One that is not there is said.

use anyhow::{Context, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What PID 1 says first.
const UP: &str = "guest: up";
const CMDLINE: &str = "console=ttyS0 quiet panic=-1";
/// A VMM that takes longer stands still.
const PATIENCE: Duration = Duration::from_secs(180);
/// Mappings of this size are the guest's RAM: nobody has any other of a tenth of that.
const RAM_KIB: u64 = 500 << 10;

fn main() -> anyhow::Result<()> {
    if std::process::id() == 1 {
        return be_up();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, rounds] = &words[..] else { bail!("starts KERNEL ROUNDS") };
    let rounds: u32 = rounds.parse().context("ROUNDS is a number")?;
    let initrd = "/tmp/initrd";
    let archive = barkeep_lab::guest_initrd("/starts").context("an initrd of this program")?;
    fs::write(initrd, archive).context(initrd)?;
    let vmms = Vmm::ALL.iter().filter(|vmm| vmm.is_here()).collect::<Vec<_>>();
    for _ in 0..rounds {
        for vmm in &vmms {
            match vmm.start(kernel, initrd)? {
                Some((time, kib)) => println!("{} {} {kib}", vmm.name, time.as_millis()),
                None => println!("{} did not come up in {} s", vmm.name, PATIENCE.as_secs()),
            }
            std::io::stdout().flush().context("standard output")?;
        }
    }
    Ok(())
}

/// The guest's part: says that it is there, and is looked at until it is ended.
fn be_up() -> anyhow::Result<()> {
    println!("{UP}");
    loop {
        std::thread::sleep(PATIENCE);
    }
}

/// A VMM, and how it is told what to start.
struct Vmm {
    name: &'static str,
    /// The program, and what has to be before its own words.
    program: &'static [&'static str],
    words: fn(&str, &str) -> Vec<String>,
}

/// A program that is not static, with its own dynamic linker and libraries.
macro_rules! with_libraries {
    ($dir:literal, $program:literal) => {
        &[concat!($dir, "/ld-linux-x86-64.so.2"), "--library-path", $dir, concat!($dir, "/", $program)]
    };
}

impl Vmm {
    const ALL: [Self; 4] = [
        Self { name: "barkeep", program: &["/init"], words: barkeep },
        Self {
            name: "alioth",
            program: with_libraries!("/share/alioth", "alioth"),
            words: |kernel, initrd| {
                let words =
                    ["boot", "-k", kernel, "-i", initrd, "-c", CMDLINE, "-m", "size=512M", "-p", "count=1"];
                words.map(str::to_owned).to_vec()
            },
        },
        Self {
            name: "qemu-microvm",
            program: with_libraries!("/share/qemu", "qemu-system-x86_64"),
            words: |kernel, initrd| qemu("microvm", kernel, initrd),
        },
        Self {
            name: "qemu-q35",
            program: with_libraries!("/share/qemu", "qemu-system-x86_64"),
            words: |kernel, initrd| qemu("q35", kernel, initrd),
        },
    ];

    fn is_here(&self) -> bool {
        let here = Path::new(self.program[0]).exists();
        if !here {
            println!("{} is not here", self.name);
        }
        here
    }

    /// From its start to its guest's first word, and the memory it has then; `None` if that never comes.
    fn start(&self, kernel: &str, initrd: &str) -> anyhow::Result<Option<(Duration, u64)>> {
        let mut command = Command::new(self.program[0]);
        // Barkeep would take the topology's devices, and the lab's journal.
        command.env_remove("BARKEEP_DEVICES").env_remove("BARKEEP_JOURNAL");
        command.args(&self.program[1..]).args((self.words)(kernel, initrd));
        let log = format!("/tmp/{}.log", self.name);
        let errors = fs::File::create(&log).context("its log")?;
        // Alioth starts on a terminal only. Nobody types on this one.
        let terminal = fs::File::open("/dev/console").context("/dev/console")?;
        command.stdin(terminal).stdout(Stdio::piped()).stderr(errors);
        let begin = Instant::now();
        let mut vmm = command.spawn().context(self.name)?;
        let up = wait_for_word(&mut vmm, begin);
        let memory = up.as_ref().ok().map(|_| beyond_ram(vmm.id()));
        // It may have ended by itself.
        let _ = vmm.kill();
        let status = vmm.wait().context(self.name)?;
        match up {
            Ok(time) => Ok(Some((time, memory.transpose()?.unwrap_or_default()))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("{} ended with {status} before its guest was up: {}", self.name, said.trim_end())
            }
        }
    }
}

fn barkeep(kernel: &str, initrd: &str) -> Vec<String> {
    let words = ["run", "--lane", "host", "--memory", "512M", "--cpus", "1", "--out", "/tmp/barkeep"];
    let guest = ["--guest", kernel, "--initrd", initrd, "--append", CMDLINE];
    words.into_iter().chain(guest).map(str::to_owned).collect()
}

fn qemu(machine: &str, kernel: &str, initrd: &str) -> Vec<String> {
    let words =
        ["-M", machine, "-accel", "kvm", "-cpu", "host", "-m", "512M", "-smp", "1", "-L", "/share/qemu"];
    let alone = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"];
    let guest = ["-kernel", kernel, "-initrd", initrd, "-append", CMDLINE];
    words.into_iter().chain(alone).chain(guest).map(str::to_owned).collect()
}

/// Reads its output on a thread of its own, so that there is an end to waiting for it.
fn wait_for_word(vmm: &mut Child, begin: Instant) -> Result<Duration, RecvTimeoutError> {
    let (tell, told) = channel();
    if let Some(output) = vmm.stdout.take() {
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
            if lines.any(|line| String::from_utf8_lossy(&line).contains(UP)) {
                let _ = tell.send(begin.elapsed());
            }
            // To the end: who is not read from stands still.
            lines.for_each(drop);
        });
    }
    told.recv_timeout(PATIENCE)
}

/// KiB of its proportional set size that are not the guest's RAM (`/proc/PID/smaps`, proc(5)).
fn beyond_ram(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/smaps");
    let text = fs::read_to_string(&path).context(path)?;
    let (mut size, mut beyond, mut ram) = (0, 0, 0);
    for line in text.lines() {
        let number =
            |rest: &str| rest.trim().trim_end_matches(" kB").parse::<u64>().context("a size in smaps");
        if let Some(rest) = line.strip_prefix("Size:") {
            size = number(rest)?;
        } else if let Some(rest) = line.strip_prefix("Pss:") {
            *if size >= RAM_KIB { &mut ram } else { &mut beyond } += number(rest)?;
        }
    }
    ensure!(ram > 0, "no mapping is as large as the guest's RAM");
    Ok(beyond)
}

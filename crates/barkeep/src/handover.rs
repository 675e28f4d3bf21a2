//! `barkeep handover`: two processes, one dma-buf, every order of ending.

pub mod inside;

use crate::cli::LabOptions;
use crate::exit::{Exit, UsageExt, wrong};
use crate::outside;
use crate::show::Show;
use barkeep_handover::step::Order;
use barkeep_model::Profile;
use clap::Args;
use std::path::{Path, PathBuf};

/// Orders of one boot: their events fill half of its journal.
const PART: usize = 1500;

/// Options of `handover`.
#[derive(Clone, Debug, Args)]
pub struct HandoverOptions {
    /// Every order there is: each step in every state, after every other step that leads there.
    /// Several boots, and about half an hour.
    #[arg(long, conflicts_with = "order")]
    pub all: bool,
    /// One order: steps with commas between them, as the table has them.
    #[arg(long, value_name = "STEPS")]
    pub order: Option<Order>,
    /// The kernel: a bzImage or vmlinux. Without it: the one `scripts/kernel` has built.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The emulated devices: a name or a TOML file.
    #[arg(long, value_name = "TOPOLOGY", default_value = "nvme-edu")]
    pub topology: String,
    /// The specification's profile; without it: that of the kernel's release.
    #[arg(long, value_name = "VERSION")]
    pub profile: Option<Profile>,
    /// Wall-clock seconds after which a boot has hung.
    #[arg(long, value_name = "S", default_value_t = 3600)]
    pub timeout: u64,
    /// Where the journal goes; of several boots each has a folder of its own in it.
    #[arg(long, value_name = "DIR", default_value = "out/handover")]
    pub out: PathBuf,
}

/// Boots the lab and has orders carried out there, to the last one.
///
/// # Errors
/// What was named is wrong, or the testbed failed.
pub fn handover(options: &HandoverOptions) -> anyhow::Result<Exit> {
    let mut skip = 0;
    let mut sum = inside::Told::default();
    loop {
        let out = if options.all {
            options.out.join(format!("part-{}", skip / PART + 1))
        } else {
            options.out.clone()
        };
        let exit = boot(options, skip, &out)?;
        let told = inside::Told::read(&out);
        match (exit, told) {
            // What is wrong in one part is no reason to leave the others out.
            (Exit::Pass | Exit::Broken, Some(told)) => sum.add(&told),
            (exit, _) => return Ok(exit),
        }
        skip += PART;
        if skip >= sum.orders {
            break;
        }
    }
    println!("{sum}");
    Ok(if sum.wrong == 0 { Exit::Pass } else { Exit::Broken })
}

fn boot(options: &HandoverOptions, skip: usize, out: &Path) -> anyhow::Result<Exit> {
    let mut command = vec!["handover-conduct".to_owned()];
    command.extend(["--skip".to_owned(), skip.to_string(), "--take".to_owned(), PART.to_string()]);
    if options.all {
        command.push("--all".to_owned());
    }
    if let Some(order) = &options.order {
        command.extend(["--order".to_owned(), order.to_string()]);
    }
    if let Some(profile) = options.profile {
        command.extend(["--profile".to_owned(), profile.name().to_owned()]);
    }
    std::fs::create_dir_all(out).usage(format!("cannot make {}", out.display()))?;
    // One of another run must not be taken for this one's.
    if let Err(error) = std::fs::remove_file(out.join(inside::TOLD))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(wrong(Exit::Usage, format!("cannot write to {}: {error}", out.display())));
    }
    let request = outside::request(&LabOptions {
        kernel: options.kernel.clone(),
        topology: Some(options.topology.clone()),
        timeout: options.timeout,
        ..LabOptions::of(command, out)
    })?;
    outside::boot(&request, Show::quiet())
}

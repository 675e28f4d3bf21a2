//! The storms that Barkeep ships, each a real situation.

/// Name and text of each.
pub const SHIPPED: [(&str, &str); 16] = [
    ("flr", include_str!("../storms/flr.toml")),
    ("decode", include_str!("../storms/decode.toml")),
    ("d3", include_str!("../storms/d3.toml")),
    ("af-flr", include_str!("../storms/af-flr.toml")),
    ("hot-reset", include_str!("../storms/hot-reset.toml")),
    ("reset-fails", include_str!("../storms/reset-fails.toml")),
    ("unplug", include_str!("../storms/unplug.toml")),
    ("close-race", include_str!("../storms/close-race.toml")),
    ("importers", include_str!("../storms/importers.toml")),
    ("vfs", include_str!("../storms/vfs.toml")),
    ("reboot", include_str!("../storms/reboot.toml")),
    ("bar-move", include_str!("../storms/bar-move.toml")),
    ("vcpus", include_str!("../storms/vcpus.toml")),
    ("descriptors", include_str!("../storms/descriptors.toml")),
    ("shuffle", include_str!("../storms/shuffle.toml")),
    ("everything", include_str!("../storms/everything.toml")),
];

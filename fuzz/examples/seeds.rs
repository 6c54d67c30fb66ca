//! Writes the seeds of every target to `DIRECTORY/<target>/`, for libFuzzer to start from.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let root: PathBuf = std::env::args_os().nth(1).unwrap_or("seeded".into()).into();
    for target in cofferdam_fuzz::targets() {
        let folder = root.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (index, seed) in target.seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{index}")), seed)?;
        }
    }
    Ok(())
}

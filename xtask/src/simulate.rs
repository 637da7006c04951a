//! Runs the host under simulated surroundings.

use anyhow::Result;

use crate::run::cargo;

/// Builds the simulation, and runs it with these options.
pub(crate) fn simulate(options: &[&str]) -> Result<()> {
    cargo(&[&["run", "--quiet", "--package", "reactor-simulation", "--"], options].concat())
}

//! A failing run, made as small as it can be: steps, crashes and faults are taken away for as long as it still fails.

use crate::disk::Faults;
use crate::plan::Plan;
use crate::queue::QueueFaults;
use crate::run::{Report, run};

/// The smallest plan that was found to fail, and what it comes to. `tries` bounds how many runs that may take.
pub fn shrink(plan: Plan, report: Report, mut tries: usize) -> (Plan, Report) {
    let (mut plan, mut report) = (plan, report);
    let mut width = plan.steps.len().max(1);
    while width > 0 && tries > 0 {
        let mut smaller = false;
        for candidate in candidates(&plan, width) {
            tries = tries.saturating_sub(1);
            let found = run(&candidate);
            if !found.broken.is_empty() {
                (plan, report, smaller) = (candidate, found, true);
                break;
            }
            if tries == 0 {
                break;
            }
        }
        if !smaller {
            width /= 2;
        }
    }
    (plan, report)
}

/// Plans with a little less: `width` steps in a row, a crash, or a sort of faults.
fn candidates(plan: &Plan, width: usize) -> Vec<Plan> {
    let mut found = Vec::new();
    for at in (0..plan.steps.len()).step_by(width) {
        let mut steps = plan.steps.clone();
        steps.drain(at..(at + width).min(plan.steps.len()));
        found.push(Plan { steps, ..plan.clone() });
    }
    if width == 1 {
        for at in 0..plan.crashes.len() {
            let mut crashes = plan.crashes.clone();
            crashes.remove(at);
            found.push(Plan { crashes, ..plan.clone() });
        }
        let (disk, queues) = (plan.disk, plan.queues);
        let calm = [
            (Faults { full: 0, ..disk }, queues),
            (Faults { slow: 0, ..disk }, queues),
            (Faults { unsynced: 0, ..disk }, queues),
            (disk, QueueFaults { fail: 0, ..queues }),
            (disk, QueueFaults { lose: 0, ..queues }),
            (disk, QueueFaults { repeat: 0, ..queues }),
        ];
        for (disk, queues) in calm {
            let candidate = Plan { disk, queues, ..plan.clone() };
            if candidate.size() < plan.size() {
                found.push(candidate);
            }
        }
    }
    found
}

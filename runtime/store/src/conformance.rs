//! What every store must do, as cases to run against any implementation; see [`crate::store_conformance!`].
#![allow(clippy::disallowed_methods, reason = "these are tests of time stamps by the machine's clock")]
#![allow(clippy::unwrap_used, reason = "this is a test suite; it is public so that other stores can run it")]

mod dead;
mod fates;
mod fixture;
mod history;
mod intake;
mod load;
mod remote;
mod run;
mod upkeep;

pub use dead::*;
pub use fates::*;
pub use fixture::*;
pub use history::*;
pub use intake::*;
pub use load::*;
pub use remote::*;
pub use run::*;
pub use upkeep::*;

/// Makes a test of each case, for a `fn() -> impl Harness`.
#[doc(hidden)]
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::store_conformance!(@cases $factory;
            ended_attempts_are_kept,
            only_applied_attempts_are_kept,
            many_attempts_are_kept,
            attempts_are_forgotten,
            records_are_traced,
            duplicates_are_traced,
            traces_are_per_reactor,
            received_duplicates_are_traced,
            what_is_forgotten_is_not_complete,
            fates_are_told,
            duplicates_name_the_first,
            dropped_is_not_done,
            firsts_are_found_far_back,
            dropped_is_new_in_any_segment,
            dropped_numbers_are_not_used_again,
            dropped_after_a_redrive,
            held_and_parked_are_told,
            known_keys_are_told,
            dropped_letters_are_forgotten,
            names_are_stable,
            offsets_are_consecutive,
            a_log_returns_what_was_published,
            limits_of_read_log,
            unknown_channels_are_refused,
            accepted_survives_a_crash,
            admission_moves_the_cursor,
            delivery_ids_ascend,
            duplicates_within_the_window,
            no_duplicates_outside_the_window,
            duplicates_are_per_reactor,
            duplicates_after_the_ending,
            the_ledger_spans_segments,
            dead_on_arrival,
            records_can_be_taken_out,
            done_removes_the_delivery,
            state_is_written_with_its_version,
            state_is_per_reactor,
            conflicts_are_detected,
            conflicts_leave_nothing,
            a_batch_sees_its_own_writes,
            a_commit_falls_with_the_one_it_was_built_on,
            stale_attempts_are_void,
            emits_are_appended_with_the_commit,
            commits_survive_a_crash,
            commit_numbers_ascend_across_restarts,
            lost_updates_do_not_happen,
            spilled_in_order,
            waiting_in_order_of_due_time,
            held_in_order,
            hold_keeps_order_behind_a_waiting_head,
            memory_becomes_spilled_on_recovery,
            memory_stays_before_what_is_held,
            interrupted_attempts_are_counted,
            interrupted_until_accounted_for,
            ended_attempts_are_not_interrupted,
            a_claim_behind_the_head_is_void,
            a_claim_of_the_head_counts_and_the_others_stay_behind_it,
            a_waiting_head_is_the_head,
            what_was_loaded_stays_before_what_is_held,
            a_parked_lane_waits_for_the_letter_that_runs_again,
            what_was_away_stands_in_no_ones_way,
            lanes_are_recovered,
            history_survives,
            dead_letters_are_kept_whole,
            dead_letters_are_selected,
            dead_letters_are_forwarded,
            parked_lanes_hold,
            redrive_is_not_a_duplicate,
            redriven_with_success,
            redriven_in_vain,
            redrive_of_nothing,
            drop_removes_the_letter,
            requests_wait_for_the_owner,
            counts_are_conserved,
            the_clock_is_kept,
            the_ledger_expires,
            logs_expire_by_the_hosts_clock,
            what_is_needed_is_kept,
            ids_do_not_start_over,
            what_is_received_is_recorded_once,
            a_reception_leaves_what_is_unread,
            what_has_ended_is_a_duplicate,
            leased_deliveries_are_away_after_a_crash,
            away_for_ever_is_somebody_elses,
            a_dead_letter_that_is_sent_back_runs_again,
            what_was_dropped_is_new_when_it_is_received_again,
            what_ends_on_reception_is_kept,
            what_ends_on_arrival_is_forwarded,
            the_outbox_is_filled_by_commits,
            outbox_numbers_ascend,
            what_cannot_be_sent_becomes_a_dead_letter,
        );
    };
    (@cases $factory:expr; $($case:ident),* $(,)?) => {
        $(#[test]
        fn $case() {
            $crate::conformance::$case(&mut $factory());
        })*
    };
}

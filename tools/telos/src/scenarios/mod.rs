//! Scenario tests: what a person would see over the serial console.
//!
//! A scenario gets a machine's boot image and a folder of its own, and waits for output, never for time alone.

mod boot;
mod failures;
mod hosted;
mod images;
mod introspection;
mod new_cells;
mod plan;
mod processes;
mod replacements;
mod runner;
mod servers;
mod session;
mod state;
mod tour;
mod workspace;

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Result;
use crate::iso::Boot;
use crate::project::Project;

/// How long one answer may take under software emulation.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a scenario works with.
pub struct Stage {
    /// The source tree, built.
    pub project: Project,
    /// The image without a command line.
    pub boot: Boot,
    /// An empty folder.
    pub folder: PathBuf,
}

/// A scenario and its name.
pub struct Scenario {
    /// As `test NAME ... ok` says it.
    pub name: &'static str,
    /// The cell that it is about, which has to be in the boot set.
    pub needs: Option<&'static str>,
    /// The scenario.
    pub run: fn(&Stage) -> Result<()>,
}

/// The scenarios of `test`, in order.
pub const ALL: &[Scenario] = &[
    Scenario { name: "boot_to_prompt", needs: None, run: boot::to_prompt },
    Scenario { name: "a_shell_session", needs: Some("persistence"), run: session::commands },
    Scenario { name: "a_shutdown_waits_for_what_is_noted", needs: Some("persistence"), run: session::shutdown },
    Scenario { name: "messages_never_mix_with_the_line", needs: Some("persistence"), run: session::rows },
    Scenario { name: "a_non_maskable_interrupt_ends_nothing", needs: Some("persistence"), run: session::non_maskable },
    Scenario { name: "a_kernel_panic_is_told_at_once", needs: Some("persistence"), run: session::panic },
    Scenario { name: "programs_at_the_prompt", needs: Some("persistence"), run: workspace::programs },
    Scenario { name: "objects_serve_others", needs: Some("objects"), run: hosted::objects },
    Scenario { name: "the_lines_of_the_plan", needs: Some("counter"), run: plan::lines },
    Scenario { name: "the_tour", needs: Some("persistence"), run: tour::steps },
    Scenario { name: "cells_hold_what_caps_lists", needs: Some("persistence"), run: introspection::capabilities },
    Scenario { name: "tree_shows_who_started_whom", needs: Some("persistence"), run: introspection::tree },
    Scenario { name: "images_have_versions", needs: Some("persistence"), run: introspection::images },
    Scenario { name: "services_begin_again", needs: Some("persistence"), run: failures::services_begin_again },
    Scenario {
        name: "a_resting_service_is_waited_for",
        needs: Some("persistence"),
        run: failures::a_resting_service_is_waited_for,
    },
    Scenario { name: "services_are_replaced_live", needs: Some("persistence"), run: replacements::at_the_prompt },
    Scenario { name: "kills_during_a_replacement", needs: Some("persistence"), run: replacements::under_fire },
    Scenario { name: "servers_of_users_keep_their_state", needs: Some("counter"), run: servers::of_users },
    Scenario { name: "pushed_images_run", needs: Some("image_port"), run: replacements::of_pushed_images },
    Scenario { name: "a_new_cell_serves", needs: Some("image_port"), run: new_cells::from_template_to_service },
    Scenario {
        name: "a_failing_process_is_given_up",
        needs: Some("persistence"),
        run: failures::a_failing_process_is_given_up,
    },
    Scenario { name: "images_outlive_the_boot_archive", needs: Some("persistence"), run: images::outlive_the_archive },
    Scenario { name: "lines_of_standard_input_are_typed", needs: Some("persistence"), run: runner::typed_lines },
    Scenario { name: "reboot_goes_on_with_the_script", needs: Some("persistence"), run: runner::reboots },
    Scenario { name: "run_has_statuses_and_reasons", needs: Some("persistence"), run: runner::statuses },
    Scenario { name: "blank_and_half_formatted_disks_resume", needs: Some("persistence"), run: state::resumed },
    Scenario { name: "second_boot_finds_the_first", needs: Some("persistence"), run: state::second_boot },
    Scenario { name: "foreign_bytes_are_refused_and_kept", needs: Some("persistence"), run: state::foreign_bytes },
    Scenario { name: "processes_after_a_power_cut", needs: Some("persistence"), run: processes::after_a_cut },
    Scenario { name: "power_cuts_lose_nothing_acknowledged", needs: Some("persistence"), run: state::power_cuts },
];

//! A command, or the program's main work.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

/// What a command line asks for: a subcommand, or the main work with its
/// flags.
///
/// clap's own optional group of flags is there as soon as one of them is set,
/// also by a variable of the environment, and then misses its required ones
/// although a subcommand was given. Here the subcommand is looked at first.
#[derive(Clone, Debug)]
pub enum Task<C, M> {
    Command(C),
    Main(M),
}

impl<C: Subcommand, M: Args> Args for Task<C, M> {
    fn augment_args(command: Command) -> Command {
        C::augment_subcommands(M::augment_args(command))
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Subcommand, M: Args> FromArgMatches for Task<C, M> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        if matches.subcommand_name().is_some() {
            C::from_arg_matches(matches).map(Self::Command)
        } else {
            M::from_arg_matches(matches).map(Self::Main)
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

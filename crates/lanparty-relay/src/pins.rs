//! `lanparty-relay pin` and `rotate-identity`: by what members know this relay.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use lanparty_transport::identity::DEVELOPMENT_NAMES;
use lanparty_transport::{Identity, ServerIdentity};

use crate::cli::{PinArgs, RotateArgs};
use crate::failure::Failure;
use crate::secret_file;
use crate::secrets::IdentityFiles;

/// One pin a line: the present one, then the prepared one if there is one.
pub(crate) fn show(options: &PinArgs) -> Result<(), Failure> {
    let mut pins = Vec::new();
    if let Some(path) = &options.tls_cert {
        let chain = fs::read(path).map_err(|source| Failure::ReadCertificate {
            path: path.clone(),
            source,
        })?;
        pins.push(ServerIdentity::pin_of_pem(&chain)?);
    } else {
        let files = IdentityFiles::find(options.state.state_dir.as_deref())?;
        pins.push(pin_of_seed(&files.present)?);
        if files.next.exists() {
            pins.push(pin_of_seed(&files.next)?);
        }
    }
    let lines: String = pins.iter().map(|pin| format!("{pin}\n")).collect();
    print(&lines)
}

/// Prepares the next key, or makes it the present one.
pub(crate) fn rotate(options: &RotateArgs) -> Result<(), Failure> {
    let files = IdentityFiles::find(options.state.state_dir.as_deref())?;
    let present = pin_of_seed(&files.present)?;
    if !options.switch {
        let next = pin_of_seed(&files.next)?;
        return print(&format!(
            "present pin {present}\nnext pin    {next}\n\
             Members who know both pins will not notice the switch: hand out invites with both now.\n\
             When everybody has one, run `lanparty-relay rotate-identity --switch`.\n"
        ));
    }
    if !files.next.exists() {
        return Err(Failure::NoNextIdentity);
    }
    let next = pin_of_seed(&files.next)?;
    files.switch()?;
    print(&format!(
        "present pin {next}\nformer pin  {present}\n\
         A running relay shows the new key within seconds and keeps every connection.\n\
         Whoever knows only the former pin needs a new invite.\n"
    ))
}

fn pin_of_seed(path: &Path) -> Result<Identity, Failure> {
    let seed = secret_file::load_or_create(path)?;
    Ok(ServerIdentity::self_signed(&seed, &DEVELOPMENT_NAMES)?.identity())
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::Output),
    }
}

//! Who we are, who owns an object, and objects of our own that are private.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::ERROR_INSUFFICIENT_BUFFER;
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetKernelObjectSecurity, GetTokenInformation,
    OWNER_SECURITY_INFORMATION, SECURITY_ATTRIBUTES, TOKEN_INFORMATION_CLASS, TOKEN_QUERY,
    TOKEN_USER, TokenElevation, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::descriptor::{self, Descriptor, Sid};

/// The user who runs this program.
pub(crate) fn current_user() -> io::Result<Sid> {
    let bytes = of_process(TokenUser)?;
    // The SID lies behind the structure that points to it.
    let sid = bytes.get(size_of::<TOKEN_USER>()..).and_then(Sid::parse);
    sid.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether this program runs with an administrator's rights.
fn is_elevated() -> io::Result<bool> {
    Ok(of_process(TokenElevation)?
        .first_chunk()
        .is_some_and(|elevated| u32::from_le_bytes(*elevated) != 0))
}

fn of_process(what: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u8>> {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle needs no closing, `token` is written on success.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was just opened and belongs to nobody else.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    fill(|buffer, len, needed| {
        // SAFETY: `buffer` has `len` writable bytes.
        unsafe { GetTokenInformation(token.as_raw_handle(), what, buffer, len, needed) }
    })
}

/// Who owns an object and who may do what with it. The handle needs the right
/// `READ_CONTROL`, which every handle for reading has.
pub(crate) fn descriptor_of(object: &impl AsHandle) -> io::Result<Descriptor> {
    let handle = object.as_handle();
    let wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let bytes = fill(|buffer, len, needed| {
        // SAFETY: the handle is open, `buffer` has `len` writable bytes.
        unsafe { GetKernelObjectSecurity(handle.as_raw_handle(), wanted, buffer, len, needed) }
    })?;
    Descriptor::parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Attributes that make a new object private to the system, its administrators
/// and, where the current user is none of these, to that user.
pub(crate) struct Private {
    attributes: SECURITY_ATTRIBUTES,
    /// What the attributes point to, in words, because Windows wants it aligned
    /// to four bytes.
    _descriptor: Vec<u32>,
}

impl Private {
    pub(crate) fn new() -> io::Result<Self> {
        // An administrator's service reads what the administrator has written.
        let owner = match Sid::administrators() {
            Some(administrators) if is_elevated()? => administrators,
            Some(_) | None => current_user()?,
        };
        let bytes = descriptor::private_to(&owner);
        let word = |chunk: &[u8]| {
            let shifted = chunk.iter().rev();
            shifted.fold(0, |word, byte| (word << 8) | u32::from(*byte))
        };
        let mut descriptor: Vec<u32> = bytes.chunks(4).map(word).collect();
        Ok(Self {
            attributes: SECURITY_ATTRIBUTES {
                nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
                lpSecurityDescriptor: descriptor.as_mut_ptr().cast(),
                bInheritHandle: 0,
            },
            _descriptor: descriptor,
        })
    }

    /// Valid as long as `self` lives.
    pub(crate) const fn as_ptr(&self) -> *const SECURITY_ATTRIBUTES {
        &raw const self.attributes
    }
}

/// Asks for the length first, then for the content.
fn fill(mut call: impl FnMut(*mut core::ffi::c_void, u32, *mut u32) -> i32) -> io::Result<Vec<u8>> {
    let mut needed = 0;
    if call(ptr::null_mut(), 0, &raw mut needed) == 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != i32::try_from(ERROR_INSUFFICIENT_BUFFER).ok() {
            return Err(error);
        }
    }
    // In words, because some of these structures begin with a pointer.
    let mut words = vec![0_u64; usize::try_from(needed).unwrap_or(0).div_ceil(8)];
    let len = u32::try_from(words.len() * 8).unwrap_or(0);
    if call(words.as_mut_ptr().cast(), len, &raw mut needed) == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

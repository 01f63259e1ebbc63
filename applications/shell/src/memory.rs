//! How much memory there is.

use alloc::format;
use alloc::string::String;

use runtime::Call;
use runtime::abi::interfaces::memory::{GetStatistics, Statistics};

use crate::failure::{Failure, Server};
use crate::servers::Servers;

/// The memory server's numbers.
///
/// # Errors
/// Those of the call.
pub fn show(servers: &Servers) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Memory)?;
    let statistics = Call::new(endpoint, GetStatistics {})
        .decode(|_, statistics| statistics)
        .map_err(|error| Failure::Call(Server::Memory, error))?;
    Ok(format(&statistics))
}

fn format(statistics: &Statistics) -> String {
    let Statistics { total, free, largest, allocations } = statistics;
    let used = total.saturating_sub(*free);
    format!(
        "total        {total:>14} bytes\n\
         used         {used:>14} bytes\n\
         free         {free:>14} bytes\n\
         largest      {largest:>14} bytes\n\
         allocations  {allocations:>14}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_under_each_other() {
        let text = format(&Statistics { total: 1 << 30, free: 4096, largest: 4096, allocations: 12 });
        assert!(text.contains("used             1073737728 bytes\n"), "{text}");
        assert!(text.ends_with("allocations              12\n"), "{text}");
    }
}

//! Blows to a replacement, for tests.

use crate::kernel::ReplacementPhase;

/// What a test has happen to the next replacement of a service: an instance is stopped, as by a kill from outside, when the
/// replacement enters a phase. Some phases last for microseconds, so nobody outside could hit them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When.
    pub phase: ReplacementPhase,
    /// Who.
    pub victim: Victim,
}

/// Whose instance is stopped.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The one that is to be replaced.
    Old = 0,
    /// The one that is to take its place.
    New = 1,
    /// The process server's, which has begun the replacement.
    ProcessServer = 2,
}

impl Victim {
    /// All of them.
    pub const ALL: [Victim; 3] = [Victim::Old, Victim::New, Victim::ProcessServer];
}

impl Strike {
    /// Above all points of CreateProcess.
    const FIRST: u64 = 1 << 16;

    /// As a point of PlantFailure.
    pub const fn to_point(self) -> u64 {
        Self::FIRST | (self.phase as u64) << 8 | self.victim as u64
    }

    /// Of a point; `None` where it is none.
    pub fn from_point(point: u64) -> Option<Strike> {
        let number = point.checked_sub(Self::FIRST)?;
        let phase = ReplacementPhase::from_number(number >> 8)?;
        let victim = Victim::ALL.into_iter().find(|victim| *victim as u64 == number & 0xff)?;
        Some(Strike { phase, victim })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strike_has_a_point_of_its_own() {
        for phase in ReplacementPhase::ALL {
            for victim in Victim::ALL {
                let strike = Strike { phase, victim };
                assert_eq!(Strike::from_point(strike.to_point()), Some(strike));
            }
        }
        for point in [0, 7, Strike::FIRST - 1, Strike::FIRST + 3, u64::MAX] {
            assert_eq!(Strike::from_point(point), None, "{point}");
        }
    }
}

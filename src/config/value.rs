//! Kinds of values: how each is written, and what to write instead of something else.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use humantime_serde::re::humantime;
use toml::de::{DeInteger, DeValue};

use super::secret::Secret;

/// A value that a key can have.
pub(super) trait Value: Sized {
    /// The kind with its article: what the value found is not.
    const WHAT: &'static str;
    /// What to write.
    const MEND: &'static str;
    /// The value must not be repeated in a message.
    const SECRET: bool = false;

    fn read(value: &DeValue<'_>) -> Option<Self>;

    fn is_zero(&self) -> bool {
        false
    }
}

impl Value for bool {
    const WHAT: &'static str = "a switch";
    const MEND: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }
}

impl Value for String {
    const WHAT: &'static str = "text";
    const MEND: &'static str = "it in double quotes";

    fn read(value: &DeValue<'_>) -> Option<String> {
        value.as_str().map(str::to_owned)
    }
}

impl Value for Secret {
    const WHAT: &'static str = "text";
    const MEND: &'static str = "it in double quotes";
    const SECRET: bool = true;

    fn read(value: &DeValue<'_>) -> Option<Secret> {
        value.as_str().map(Secret::from)
    }
}

impl Value for u16 {
    const WHAT: &'static str = "a small number";
    const MEND: &'static str = "a whole number from 0 to 65535";

    fn read(value: &DeValue<'_>) -> Option<u16> {
        value.as_integer().and_then(integer)?.try_into().ok()
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }
}

/// A count.
impl Value for u32 {
    const WHAT: &'static str = "a count";
    const MEND: &'static str = "a whole number from 0 to 4294967295";

    fn read(value: &DeValue<'_>) -> Option<u32> {
        value.as_integer().and_then(integer)?.try_into().ok()
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }
}

/// A number of octets: an integer, or text with a unit.
impl Value for u64 {
    const WHAT: &'static str = "a number of octets";
    const MEND: &'static str = "a whole number, or text such as \"64 KiB\" or \"8 MiB\"";

    fn read(value: &DeValue<'_>) -> Option<u64> {
        match value {
            DeValue::Integer(number) => integer(number),
            DeValue::String(text) => text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => None,
        }
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }
}

/// A number of octets that lie in memory.
impl Value for usize {
    const WHAT: &'static str = u64::WHAT;
    const MEND: &'static str = u64::MEND;

    fn read(value: &DeValue<'_>) -> Option<usize> {
        u64::read(value)?.try_into().ok()
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }
}

/// Longest duration that can be written: far from where adding it to a clock overflows.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// An integer is a number of seconds.
impl Value for Duration {
    const WHAT: &'static str = "a duration";
    const MEND: &'static str = "a number of seconds, or text such as \"10ms\", \"30s\" or \"1h\", up to a year";

    fn read(value: &DeValue<'_>) -> Option<Duration> {
        let duration = match value {
            DeValue::Integer(number) => integer(number).map(Duration::from_secs),
            DeValue::String(text) => humantime::parse_duration(text.trim()).ok(),
            _ => None,
        };
        duration.filter(|duration| *duration <= LONGEST)
    }

    fn is_zero(&self) -> bool {
        Duration::is_zero(self)
    }
}

impl Value for SocketAddr {
    const WHAT: &'static str = "an IP address with a port";
    const MEND: &'static str = "one such as \"127.0.0.1:2855\" or \"[::1]:2855\"";

    fn read(value: &DeValue<'_>) -> Option<SocketAddr> {
        value.as_str()?.parse().ok()
    }
}

fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A kind of value that is one word out of a few, as `choice!(Transport, "a transport", "tls" => Transport::Tls, …)`.
macro_rules! choice {
    ($kind:ty, $what:literal, $mend:literal, $($word:literal => $value:expr),+ $(,)?) => {
        impl $crate::config::value::Value for $kind {
            const WHAT: &'static str = $what;
            const MEND: &'static str = $mend;

            fn read(value: &toml::de::DeValue<'_>) -> Option<Self> {
                match value.as_str()? {
                    $($word => Some($value),)+
                    _ => None,
                }
            }
        }
    };
}
pub(super) use choice;

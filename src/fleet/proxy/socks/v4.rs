//! SOCKS 4 and 4a: one request with an address, or with the impossible address 0.0.0.x and a name.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncWriteExt;

use super::{Handshake, Reply, Target};
use crate::fleet::http::buffer::Buffer;
use crate::fleet::net::Wire;
use crate::fleet::proxy::state::ProxyState;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;
const REJECTED: u8 = 91;
const WRONG_USER: u8 = 93;

/// Reads the request and looks at the user, the only login there is.
pub(super) async fn handshake<W: Wire>(wire: &mut W, buffer: &mut Buffer, proxy: &ProxyState) -> io::Result<Handshake> {
    buffer.need(wire, 8).await?;
    let &[version, command, p0, p1, a, b, c, d] = &buffer.filled()[..8] else {
        return Ok(Handshake::Broken);
    };
    buffer.consume(8);
    if version != VERSION || command != CONNECT {
        wire.write_all(&code(REJECTED)).await?;
        return Ok(Handshake::Broken);
    }
    let port = u16::from_be_bytes([p0, p1]);
    let user = text(wire, buffer).await?;
    let target = if [a, b, c] == [0, 0, 0] && d != 0 {
        match String::from_utf8(text(wire, buffer).await?) {
            Ok(name) => Target::Name(name, port),
            Err(_) => return Ok(Handshake::Broken),
        }
    } else {
        Target::Address(Ipv4Addr::new(a, b, c, d).into(), port)
    };
    if let Some(login) = &proxy.login
        && login.user.as_bytes() != user
    {
        proxy.counters.auth_failures.add(1);
        wire.write_all(&code(WRONG_USER)).await?;
        return Ok(Handshake::Refused);
    }
    Ok(Handshake::Wants(target))
}

/// A name of more bytes than this is no name.
const TEXT_MAX: usize = 512;

async fn text<W: Wire>(wire: &mut W, buffer: &mut Buffer) -> io::Result<Vec<u8>> {
    loop {
        if let Some(end) = buffer.filled().iter().position(|byte| *byte == 0) {
            let text = buffer.filled()[..end].to_vec();
            buffer.consume(end + 1);
            return Ok(text);
        }
        if buffer.len() > TEXT_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let more = buffer.len() + 1;
        buffer.need(wire, more).await?;
    }
}

/// The reply in bytes.
pub(super) fn reply(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Granted(SocketAddr::V4(own)) => {
            let mut bytes = vec![0, GRANTED];
            bytes.extend_from_slice(&own.port().to_be_bytes());
            bytes.extend_from_slice(&own.ip().octets());
            bytes
        }
        Reply::Granted(SocketAddr::V6(_)) => code(GRANTED).to_vec(),
        _ => code(REJECTED).to_vec(),
    }
}

fn code(code: u8) -> [u8; 8] {
    [0, code, 0, 0, 0, 0, 0, 0]
}

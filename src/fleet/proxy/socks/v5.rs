//! SOCKS 5 (RFC 1928) with its login (RFC 1929).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::AsyncWriteExt;

use super::{Handshake, Reply, Target};
use crate::fleet::http::buffer::Buffer;
use crate::fleet::net::Wire;
use crate::fleet::proxy::state::ProxyState;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;

const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;

const BAD_COMMAND: u8 = 7;
const BAD_ADDRESS: u8 = 8;

/// Agrees on a login, checks it, and reads the request.
pub(super) async fn handshake<W: Wire>(wire: &mut W, buffer: &mut Buffer, proxy: &ProxyState) -> io::Result<Handshake> {
    buffer.need(wire, 2).await?;
    if buffer.filled()[0] != VERSION {
        return Ok(Handshake::Broken);
    }
    let methods = string(wire, buffer, 1).await?;
    let method = choose(&methods, proxy.login.is_some());
    wire.write_all(&[VERSION, method]).await?;
    if method == NO_METHOD {
        proxy.counters.auth_failures.add(1);
        return Ok(Handshake::Refused);
    }
    if method == USER_AND_PASSWORD {
        buffer.need(wire, 2).await?;
        if buffer.filled()[0] != LOGIN_VERSION {
            return Ok(Handshake::Broken);
        }
        let user = string(wire, buffer, 1).await?;
        let password = string(wire, buffer, 0).await?;
        // A proxy without a login accepts any.
        let right = proxy
            .login
            .as_ref()
            .is_none_or(|login| login.user.as_bytes() == user && login.password.as_bytes() == password);
        wire.write_all(&[LOGIN_VERSION, u8::from(!right)]).await?;
        if !right {
            proxy.counters.auth_failures.add(1);
            return Ok(Handshake::Refused);
        }
    }
    request(wire, buffer).await
}

/// With a login, the method that carries one; without, preferably none.
fn choose(offered: &[u8], login: bool) -> u8 {
    if !login && offered.contains(&NO_LOGIN) {
        NO_LOGIN
    } else if offered.contains(&USER_AND_PASSWORD) {
        USER_AND_PASSWORD
    } else {
        NO_METHOD
    }
}

async fn request<W: Wire>(wire: &mut W, buffer: &mut Buffer) -> io::Result<Handshake> {
    buffer.need(wire, 5).await?;
    let &[version, command, _, kind, ..] = buffer.filled() else {
        return Ok(Handshake::Broken);
    };
    if version != VERSION {
        return Ok(Handshake::Broken);
    }
    if command != CONNECT {
        wire.write_all(&code(BAD_COMMAND)).await?;
        return Ok(Handshake::Broken);
    }
    let host = match kind {
        1 => {
            buffer.need(wire, 8).await?;
            let octets: [u8; 4] = array(&buffer.filled()[4..]);
            buffer.consume(8);
            Ok(IpAddr::from(octets))
        }
        4 => {
            buffer.need(wire, 20).await?;
            let octets: [u8; 16] = array(&buffer.filled()[4..]);
            buffer.consume(20);
            Ok(IpAddr::from(octets))
        }
        3 => match String::from_utf8(string(wire, buffer, 4).await?) {
            Ok(name) => Err(name),
            Err(_) => return Ok(Handshake::Broken),
        },
        _ => {
            wire.write_all(&code(BAD_ADDRESS)).await?;
            return Ok(Handshake::Broken);
        }
    };
    buffer.need(wire, 2).await?;
    let port = u16::from_be_bytes(array(buffer.filled()));
    buffer.consume(2);
    Ok(Handshake::Wants(match host {
        Ok(ip) => Target::Address(ip, port),
        Err(name) => Target::Name(name, port),
    }))
}

/// Skips `skip` bytes and takes a string that its length byte precedes.
async fn string<W: Wire>(wire: &mut W, buffer: &mut Buffer, skip: usize) -> io::Result<Vec<u8>> {
    buffer.need(wire, skip + 1).await?;
    let end = skip + 1 + usize::from(buffer.filled()[skip]);
    buffer.need(wire, end).await?;
    let string = buffer.filled()[skip + 1..end].to_vec();
    buffer.consume(end);
    Ok(string)
}

/// The first bytes of a slice that is known to be long enough.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

/// The reply in bytes.
pub(super) fn reply(reply: Reply) -> Vec<u8> {
    let own = match reply {
        Reply::Granted(own) => own,
        Reply::Failed => return code(1),
        Reply::NotAllowed => return code(2),
        Reply::HostUnreachable => return code(4),
        Reply::ConnectionRefused => return code(5),
        Reply::Expired => return code(6),
    };
    let mut bytes = vec![VERSION, 0, 0];
    match own.ip() {
        IpAddr::V4(ip) => {
            bytes.push(1);
            bytes.extend_from_slice(&Ipv4Addr::octets(&ip));
        }
        IpAddr::V6(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&Ipv6Addr::octets(&ip));
        }
    }
    bytes.extend_from_slice(&own.port().to_be_bytes());
    bytes
}

fn code(code: u8) -> Vec<u8> {
    vec![VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

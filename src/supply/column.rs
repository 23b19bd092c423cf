//! What the columns of tables and the members of objects are called, in every usual way.

/// What a part of an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A whole address, or a host alone.
    Place,
    /// A link: the proxy's URL, or some page about it.
    Link,
    Port,
    Protocol,
    /// Whether TLS is spoken to the proxy.
    Tls,
    User,
    Password,
    /// User and password in one value, or a token: a login in any case.
    Login,
    CountryCode,
    Country,
    Region,
    City,
    Anonymity,
    /// Milliseconds if the value names no unit.
    Latency,
    /// Taken only if the value names a unit: it may as well be kilobytes.
    Speed,
    Seconds,
    SuccessRate,
    Checks,
    Https,
    LastChecked,
    Tags,
}

impl Column {
    /// What a part of that name says, in whatever way the name is written.
    pub(super) fn named(name: &str) -> Option<Self> {
        if name.len() > 64 {
            return None;
        }
        let mut plain = String::with_capacity(name.len());
        plain.extend(name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
        Some(match plain.as_str() {
            "ip" | "ipaddress" | "ipadress" | "ipaddr" | "host" | "hostname" | "proxy" | "proxyip" | "proxyhost"
            | "proxyaddress" | "proxyurl" | "address" | "addr" | "server" | "ipport" | "hostport" | "proxyserver"
            | "proxyipport" | "ipaddressport" | "endpoint" | "gateway" | "ipадрес" | "адрес" | "代理ip" | "ip地址" => {
                Self::Place
            }
            "url" | "uri" | "link" => Self::Link,
            "port" | "proxyport" | "portnumber" | "порт" | "端口" | "puerto" => Self::Port,
            "protocol" | "protocols" | "type" | "types" | "proto" | "scheme" | "proxytype" | "тип" | "类型" => {
                Self::Protocol
            }
            "tls" | "usetls" | "istls" => Self::Tls,
            "username"
            | "user"
            | "login"
            | "proxyuser"
            | "proxyusername"
            | "userid"
            | "proxylogin"
            | "authuser"
            | "authusername"
            | "loginname"
            | "пользователь"
            | "логин"
            | "用户名"
            | "usuario" => Self::User,
            "password" | "pass" | "passwd" | "pwd" | "proxypassword" | "proxypass" | "proxypwd" | "authpass"
            | "authpassword" | "пароль" | "密码" | "contraseña" => Self::Password,
            "auth" | "proxyauth" | "authentication" | "authorization" | "proxyauthorization" | "credentials"
            | "credential" | "loginpassword" | "loginpass" | "userpass" | "userpassword" | "usernamepassword"
            | "userpwd" | "basicauth" | "token" | "apikey" | "apitoken" | "accesskey" | "secret" => Self::Login,
            "countrycode" | "code" | "cc" | "iso" | "isocode" | "countryiso" | "countrycode2" | "geo" => {
                Self::CountryCode
            }
            "country" | "countryname" | "location" | "страна" | "国家" | "país" => Self::Country,
            "region" | "regionname" | "state" | "province" => Self::Region,
            "city" | "cityname" => Self::City,
            "anonymity"
            | "anonymitylevel"
            | "anon"
            | "anonlevel"
            | "level"
            | "anonymous"
            | "анонимность"
            | "匿名度" => Self::Anonymity,
            "latency"
            | "latencyms"
            | "responsetime"
            | "responsetimems"
            | "response"
            | "ping"
            | "delay"
            | "averageresponsetime"
            | "averageresponsetimems"
            | "averagetimeout"
            | "avgresponsetime"
            | "rtt" => Self::Latency,
            "latencys" | "latencysec" | "responsetimes" | "responsetimesec" => Self::Seconds,
            "speed" | "timeout" | "connecttime" => Self::Speed,
            "successrate" | "uptime" | "uptimepercent" | "reliability" | "uptimeratio" => Self::SuccessRate,
            "totalchecks" | "checks" | "checkcount" | "totalrequests" => Self::Checks,
            "https" | "ssl" | "supporthttps" | "supportshttps" => Self::Https,
            "lastchecked" | "lastcheck" | "checkedat" | "lastseen" | "lastupdate" | "updated" | "updatedat"
            | "checked" => Self::LastChecked,
            "tags" | "labels" => Self::Tags,
            _ => return None,
        })
    }
}

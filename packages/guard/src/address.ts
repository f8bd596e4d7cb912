import ipaddr from 'ipaddr.js';

/**
 * Addresses at which clouds answer anyone inside with credentials. They are refused even where the operator allows the
 * network around them. AWS, GCP, Azure, DigitalOcean, OpenStack (169.254.169.254), AWS over IPv6, ECS and EKS task
 * credentials, Azure's wire server, Alibaba, Oracle.
 */
const METADATA = new Set(
  [
    '169.254.169.254',
    'fd00:ec2::254',
    '169.254.170.2',
    '169.254.170.23',
    'fd00:ec2::23',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
  ].map((a) => ipaddr.parse(a).toNormalizedString()),
);

const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/** What the operator lets a URL reach beside the public internet. See `parseAllow`. */
export interface Allow {
  networks: [ipaddr.IPv4 | ipaddr.IPv6, number][];
  /** Names, and single addresses as text. */
  hosts: Set<string>;
  /** `.svc.cluster.local` for the entry `*.svc.cluster.local`. */
  suffixes: string[];
}

/**
 * Reads the operator's list: addresses (`10.1.2.3`), networks (`10.0.0.0/8`, `fd12::/48`), host names (`minio.svc`) and
 * their subdomains (`*.svc.cluster.local`).
 * @throws Error that names the entry which is none of these.
 */
export function parseAllow(entries: readonly string[]): Allow {
  const allow: Allow = { networks: [], hosts: new Set(), suffixes: [] };
  for (const entry of entries) {
    const name = entry.toLowerCase();
    if (ipaddr.isValidCIDR(name)) allow.networks.push(ipaddr.parseCIDR(name));
    else if (ipaddr.IPv4.isValidFourPartDecimal(name) || ipaddr.IPv6.isValid(name)) {
      const address = ipaddr.parse(name);
      allow.networks.push([address, address.kind() === 'ipv4' ? 32 : 128]);
      allow.hosts.add(address.toString());
    } else if (/^\*(\.[a-z0-9-]+)+$/.test(name)) allow.suffixes.push(name.slice(1));
    else if (/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name) && /[a-z]/.test(name)) allow.hosts.add(name);
    else throw new Error(`not an address, a network or a host name: '${entry}'`);
  }
  return allow;
}

/** True if the operator named this very host (lower case, no trailing dot), by name or address. */
export function isAllowedHost(host: string, allow: Allow): boolean {
  return allow.hosts.has(host) || allow.suffixes.some((s) => host.endsWith(s));
}

/**
 * True if a URL may lead to this address: a public one, or one in a network of the operator's. Forms that carry an IPv4
 * address inside (mapped, NAT64, 6to4, Teredo) are no public addresses: they would be a way around the check.
 * Ranges: the IANA special-purpose address registries (RFC 6890), as ipaddr.js has them, and for IPv6 only 2000::/3.
 */
export function isAllowedAddress(text: string, allow: Allow, namedHost = false): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  if (METADATA.has(address.toNormalizedString())) return false;
  if (namedHost) return true;
  if (allow.networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits)))
    return true;
  // An IPv4-mapped address has no business in an answer of the DNS or in a URL, whatever it maps to.
  if (text.includes(':') && address.kind() === 'ipv4') return false;
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST);
}

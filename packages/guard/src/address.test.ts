import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAllowedAddress, isAllowedHost, parseAllow } from './address.ts';

const none = parseAllow([]);

describe('isAllowedAddress', () => {
  it.each(['93.184.216.34', '8.8.8.8', '2606:4700::6810:84e5', '2a00:1450:4001:80b::200e'])('lets %s pass', (a) => {
    expect(isAllowedAddress(a, none)).toBe(true);
  });

  it.each([
    '0.0.0.0',
    '0.1.2.3',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '168.63.129.16',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    '2001:db8::1',
    '3fff::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'not an address',
    '',
  ])('refuses %s', (a) => {
    expect(isAllowedAddress(a, none)).toBe(false);
  });

  it('refuses every IPv6 form that carries an IPv4 address, whatever the address', () => {
    const v4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
    fc.assert(
      fc.property(v4, ([a, b, c, d]) => {
        const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        for (const form of [
          `::ffff:${a}.${b}.${c}.${d}`,
          `::ffff:${hex}`,
          `::${hex}`,
          `::ffff:0:${hex}`,
          `64:ff9b::${hex}`,
          `2002:${hex}::`,
          `2001:0:${hex}::1`,
        ]) {
          expect(isAllowedAddress(form, none), form).toBe(false);
        }
      }),
    );
  });

  it('opens the operator’s networks and names, never the metadata services', () => {
    const allow = parseAllow(['10.0.0.0/8', 'fd12::/48', '192.168.7.7', '0.0.0.0/0', '*.svc.cluster.local', 'minio']);
    expect(isAllowedAddress('10.200.3.4', allow)).toBe(true);
    expect(isAllowedAddress('fd12::9', allow)).toBe(true);
    expect(isAllowedAddress('fd13::9', allow)).toBe(false);
    expect(isAllowedAddress('169.254.169.254', allow)).toBe(false);
    expect(isAllowedAddress('::ffff:169.254.169.254', allow)).toBe(false);
    expect(isAllowedAddress('fd00:ec2::254', parseAllow(['fd00::/8']))).toBe(false);
    expect(isAllowedAddress('169.254.169.254', none, true)).toBe(false);
    expect(isAllowedHost('minio', allow)).toBe(true);
    expect(isAllowedHost('a.b.svc.cluster.local', allow)).toBe(true);
    expect(isAllowedHost('svc.cluster.local', allow)).toBe(false);
    expect(isAllowedHost('evilminio', allow)).toBe(false);
  });

  it.each(['', '10.0.0.0/33', 'http://minio', '10.1', '*', '*.', 'a b', '2130706433'])(
    'refuses the entry %j',
    (entry) => {
      expect(() => parseAllow([entry])).toThrow('not an address, a network or a host name');
    },
  );
});

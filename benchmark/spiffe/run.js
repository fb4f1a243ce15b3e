'use strict'
/**
 * npm run bench:spiffe [-- --built] - the judges of SVIDs beside jose and beside the bare cryptography under them, and
 * names beside URL; all in one process, interleaved round by round. Prints medians and ratios. `--built`: take the addons
 * that are there.
 */
const { execFileSync } = require('node:child_process')
const { createPublicKey, generateKeyPairSync, sign } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const root = path.join(__dirname, '..', '..')
const benchmark = path.join(root, 'benchmark', 'native')

function prepare() {
  const quiet = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }
  if (!fs.existsSync(path.join(root, 'node_modules'))) execFileSync('npm', ['ci', '--no-audit', '--no-fund'], quiet)
  require('../../scripts/build').build()
  const target = path.join(root, 'target', 'benchmark')
  execFileSync(
    'cargo',
    ['build', '--release', '-q', '--manifest-path', path.join(benchmark, 'Cargo.toml'), '--target-dir', target],
    quiet
  )
  fs.copyFileSync(
    path.join(target, 'release', 'libcountersign_benchmark.so'),
    path.join(benchmark, 'countersign-benchmark.node')
  )
}

const round = (number, digits = 2) => Number(number.toFixed(digits))
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const verdict = (value, limit, below) =>
  (below ? value <= limit : value >= limit) ? 'ok' : `MISSED (${below ? '<=' : '>='} ${limit})`

function line(what, ratio, limit, detail, below = true, unit = 'x ') {
  console.log(
    `  ${what.padEnd(58)} ${String(round(ratio)).padStart(7)} ${unit} ${verdict(ratio, limit, below).padEnd(18)} ${detail}`
  )
}

/**
 * Nanoseconds a call, medians over rounds in which every variant has its turn. A variant runs so many calls and may say
 * itself how long one took.
 */
async function race(variants, rounds = 31) {
  const times = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  for (let turn = -3; turn < rounds; turn++) {
    for (const [name, { calls, run }] of Object.entries(variants)) {
      const start = process.hrtime.bigint()
      const own = await run(calls)
      const spent = own ?? Number(process.hrtime.bigint() - start) / calls
      if (turn >= 0) times[name].push(spent)
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]))
}

/** A synchronous call so many times. */
const sync = (calls, call) => ({
  calls,
  run: (count) => {
    for (let index = 0; index < count; index++) call(index)
  }
})
const us = (times) =>
  `us: ${Object.entries(times)
    .map(([name, value]) => `${name} ${round(value / 1000)}`)
    .join(', ')}`

const names = Array.from({ length: 1000 }, (_, index) => `spiffe://example.org/ns/production/sa/billing-${index}`)

async function ids({ SpiffeId }) {
  let sink
  const times = await race({
    ours: sync(20000, (index) => {
      sink = SpiffeId.parse(names[index % 1000])
    }),
    url: sync(20000, (index) => {
      sink = new URL(names[index % 1000])
    })
  })
  line('SpiffeId.parse / new URL', times.ours / times.url, 1, us(times))
  return sink
}

function token(algorithm, key) {
  const now = Math.floor(Date.now() / 1000)
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: algorithm, kid: 'one', typ: 'JWT' })}.${part({ sub: 'spiffe://example.org/ns/production/sa/billing', aud: ['spiffe://example.org/shop'], iat: now, exp: now + 3600 })}`
  const signature = sign('sha256', Buffer.from(text), algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key)
  return { text: `${text}.${signature.toString('base64url')}`, message: Buffer.from(text), signature }
}

async function tokens({ JwtBundle, BundleSet, verifyJwtSvid }, bare, algorithm) {
  const pair =
    algorithm === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = createPublicKey(pair.privateKey).export({ format: 'jwk' })
  const { text, message, signature } = token(algorithm, pair.privateKey)
  const bundle = new JwtBundle('example.org')
  bundle.add('one', jwk)
  const remembering = new BundleSet([bundle])
  const { jwtVerify, createLocalJWKSet } = await import('jose')
  const keys = createLocalJWKSet({ keys: [{ ...jwk, kid: 'one', alg: algorithm }] })
  const audience = 'spiffe://example.org/shop'
  const bytes = (parameter) => Buffer.from(jwk[parameter], 'base64url')
  let sink
  const times = await race({
    // A bundle by itself remembers no verdicts: every call pays for its signature.
    ours: sync(300, () => {
      sink = verifyJwtSvid(text, bundle, { audience })
    }),
    seen: sync(2000, () => {
      sink = verifyJwtSvid(text, remembering, { audience })
    }),
    jose: {
      calls: 100,
      run: async (calls) => {
        for (let index = 0; index < calls; index++) sink = await jwtVerify(text, keys, { audience })
      }
    },
    bare:
      algorithm === 'ES256'
        ? {
            calls: 300,
            run: (calls) =>
              bare.bareEs256(Buffer.concat([Buffer.from([4]), bytes('x'), bytes('y')]), message, signature, calls)
          }
        : { calls: 300, run: (calls) => bare.bareRs256(bytes('n'), bytes('e'), message, signature, calls) }
  })
  line(`${algorithm}: jose.jwtVerify / verifyJwtSvid, time`, times.jose / times.ours, 3, us(times), false)
  line(`${algorithm}: verifyJwtSvid / bare signature check in Rust`, times.ours / times.bare, 1.3, '')
  // jose's signature checks run on other threads: with many calls in flight it has the whole machine, we one core of it.
  const busy = await race(
    {
      ours: sync(256, () => {
        sink = verifyJwtSvid(text, bundle, { audience })
      }),
      jose: {
        calls: 256,
        run: async (calls) => {
          let left = calls
          const worker = async () => {
            while (left-- > 0) sink = await jwtVerify(text, keys, { audience })
          }
          await Promise.all(Array.from({ length: 64 }, worker))
        }
      }
    },
    15
  )
  line(`${algorithm}: jose with 64 in flight / verifyJwtSvid, time`, busy.jose / busy.ours, 1, us(busy), false)
  return sink
}

/** Certificates by openssl: an authority, an intermediate, and so many leaves. */
function certificates(directory, leaves) {
  const at = (name) => path.join(directory, name)
  const make = (name, extensions, issuer, days = '30') => {
    fs.writeFileSync(
      at(`${name}.cnf`),
      `[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n${extensions}\n`
    )
    const by = issuer ? ['-CA', at(`${issuer}.pem`), '-CAkey', at(`${issuer}.key`)] : []
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        at(`${name}.key`),
        '-out',
        at(`${name}.pem`),
        '-subj',
        `/O=${name}`,
        '-config',
        at(`${name}.cnf`),
        '-days',
        days,
        ...by
      ],
      { stdio: 'pipe' }
    )
    const { X509Certificate } = require('node:crypto')
    return new X509Certificate(fs.readFileSync(at(`${name}.pem`)))
  }
  const ca = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign'
  const anchor = make('anchor', ca)
  const intermediate = make('intermediate', ca, 'anchor')
  const leaf = (index) =>
    make(
      `leaf${index}`,
      `basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:spiffe://example.org/billing/${index}`,
      'intermediate'
    )
  return { anchor, intermediate, leaves: Array.from({ length: leaves }, (_, index) => leaf(index)) }
}

async function chains({ X509Bundle, BundleSet, verifyX509Svid }, bare, { anchor, intermediate, leaves: [leaf] }) {
  const bundle = X509Bundle.fromDer('example.org', anchor)
  const remembering = new BundleSet([bundle])
  const der = Buffer.concat([leaf.raw, intermediate.raw])
  const list = [leaf, intermediate]
  let sink
  const times = await race({
    // A bundle by itself remembers no verdicts: every call pays for its signatures.
    ours: sync(100, () => {
      sink = verifyX509Svid(der, bundle)
    }),
    bare: { calls: 100, run: (calls) => bare.barePath(anchor.raw, leaf.raw, intermediate.raw, calls) },
    'seen, DER': sync(2000, () => {
      sink = verifyX509Svid(der, remembering)
    }),
    'seen, X509Certificate[]': sync(2000, () => {
      sink = verifyX509Svid(list, remembering)
    })
  })
  line('verifyX509Svid / bare path validation in Rust', times.ours / times.bare, 1.5, us(times))
  line('verifyX509Svid', times.ours / 1e6, 0.5, '', true, 'ms')
  line('a chain seen before, DER', times['seen, DER'] / 1000, 5, '', true, 'us')
  line('a chain seen before, X509Certificate[]', times['seen, X509Certificate[]'] / 1000, 5, '', true, 'us')
  return sink
}

async function sets(
  { X509Bundle, JwtBundle, BundleSet, BundleMap, SpiffeBundle, verifyX509Svid },
  { anchor, intermediate, leaves: [leaf] }
) {
  const pem = anchor.toString()
  const jwk = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).export({ format: 'jwk' })
  const jwks = JSON.stringify({ keys: [{ ...jwk, kid: 'one' }] })
  const chain = Buffer.concat([leaf.raw, intermediate.raw])
  const document = new SpiffeBundle('example.org', {
    x509Bundle: X509Bundle.fromPem('example.org', pem),
    jwtBundle: JwtBundle.fromJwks('example.org', jwks)
  }).toJwks()
  const der = anchor.raw
  const domains = (count) =>
    Array.from({ length: count }, (_, index) => (index === 0 ? 'example.org' : `td${index}.example.org`))
  const built = (count, lazy) =>
    new BundleSet(
      domains(count).flatMap((name) => [
        X509Bundle.fromDer(name, der, { lazy }),
        JwtBundle.fromJwks(name, jwks, { lazy })
      ])
    )
  const map = (count) =>
    `{"trust_domains":{${domains(count)
      .map((name) => `${JSON.stringify(name)}:${document}`)
      .join()}}}`
  const maps = Object.fromEntries([1, 100, 1000].map((count) => [count, map(count)]))
  const variants = {}
  for (const count of [1, 100, 1000]) {
    const calls = Math.max(1, 200 / count)
    variants[`lazy ${count}`] = sync(calls, () => built(count, true))
    variants[`eager ${count}`] = sync(Math.max(1, 20 / count), () => built(count, false))
    variants[`map ${count}`] = sync(Math.max(1, 20 / count), () => BundleMap.parse(maps[count]))
    variants[`first peer ${count}`] = {
      calls: 5,
      run: (calls) => {
        const fresh = Array.from({ length: calls }, () => built(count, true))
        const start = process.hrtime.bigint()
        for (const set of fresh) verifyX509Svid(chain, set)
        return Number(process.hrtime.bigint() - start) / calls
      }
    }
  }
  const times = await race(variants, 9)
  for (const kind of ['lazy', 'eager', 'map']) {
    const each = [1, 100, 1000].map((count) => times[`${kind} ${count}`] / count)
    line(
      `${kind}: a trust domain of 1000 / of 100`,
      each[2] / each[1],
      1.5,
      `us a trust domain at 1, 100, 1000: ${each.map((ns) => round(ns / 1000)).join(', ')}`
    )
  }
  line(
    '1000 trust domains: lazy / eager',
    times['lazy 1000'] / times['eager 1000'],
    0.7,
    `ms: ${['lazy', 'eager'].map((kind) => round(times[`${kind} 1000`] / 1e6)).join(', ')}`
  )
  line(
    'first peer, who pays for the roots: of 1000 / of 1',
    times['first peer 1000'] / times['first peer 1'],
    1.5,
    `us: ${[1, 100, 1000].map((count) => round(times[`first peer ${count}`] / 1000)).join(', ')}`
  )
}

async function main() {
  if (!process.argv.includes('--built')) prepare()
  const face = require('../..')
  const bare = require(path.join(benchmark, 'countersign-benchmark.node'))
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
  try {
    const minted = certificates(directory, 1)
    console.log(`${process.version}, medians, interleaved; ${os.cpus().length} shared cores`)
    await ids(face)
    await tokens(face, bare, 'ES256')
    await tokens(face, bare, 'RS256')
    await chains(face, bare, minted)
    await sets(face, minted)
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})

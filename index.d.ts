/**
 * Workload identity for Node.js: who am I, and who is at the other end of a local socket, on nobody's word but the
 * kernel's.
 *
 * Times are milliseconds or `Date`; ids are numbers; integers that a number cannot hold exactly are `bigint`.
 * Everything that fails fails with a {@link CountersignError}, except for an aborted `signal`, whose `reason` is
 * passed on untouched.
 */
import type { Socket } from 'node:net'
import type { PrincipalErrorDetails } from './types/principal.js'
import type { SpiffeErrorDetails } from './types/spiffe.js'
import type { WorkloadApiErrorDetails } from './types/workload-api.js'

export * from './types/spiffe.js'
export * from './types/workload-api.js'

// ---------------------------------------------------------------------------------------------------------------------
// Who am I

/** Where a daemon is asked for when neither `socketPath` nor the environment variable `WHOAMI_SOCKET` names a place. */
export const DEFAULT_SOCKET_PATH: '/var/run/whoami.sock'

/** How a client reaches its daemon. */
export interface IdentityClientOptions {
  /**
   * The daemon's Unix socket, at most 107 bytes (103 on macOS). Default: the environment variable `WHOAMI_SOCKET`, read
   * when the client is made; without it {@link DEFAULT_SOCKET_PATH}.
   */
  socketPath?: string
  /**
   * Milliseconds for a whole call: connecting, writing and reading together, and every retry. Greater than 0, at most
   * 2147483647. `null`: wait for ever. Default 5000.
   */
  timeout?: number | null
  /**
   * What the daemon must be. It is evaluated on the connected socket, before a byte is sent and before an answer is
   * believed; a refusal is `ERR_UNTRUSTED_SERVER`. Leave it out to talk to any process that listens there; `undefined`
   * is `ERR_INVALID_ARGUMENT`, because a policy that was meant and is missing must not mean "any peer".
   */
  expectServer?: PeerPolicies
  /**
   * Refuse (`ERR_IDENTITY_MISMATCH`) an answer whose `runner` does not carry this process's own pid, effective uid and
   * effective gid. Default `false`. Leave it off where daemon and caller are in different pid or user namespaces.
   */
  verifySelf?: boolean
  /**
   * Try again, within `timeout`, while the socket is not there or no process listens on it yet. Nothing else is ever
   * retried. Default `false`.
   */
  retry?: boolean
}

/** What a caller may say about itself; the daemon echoes it in `identity.runner`. */
export interface RunnerContext {
  /** Which instance this is: an integer from 0 to 2^64-1; a `bigint` beyond 2^53-1. */
  instanceId?: number | bigint
  /** Unix seconds: an integer from 0 to 2^64-1; a `Date` is rounded down to seconds. */
  timestamp?: number | bigint | Date
  /**
   * Anything else, as JSON. Names the protocol uses itself (`identity`, `hostname`, `process`, `pid`, `uid`, `gid`,
   * `instance_id`, `timestamp`) are `ERR_INVALID_ARGUMENT`, and so is what JSON cannot carry: a `bigint`, a cycle, a
   * string with a lone surrogate, more than 100 levels of nesting.
   */
  extra?: Readonly<Record<string, unknown>>
}

/** One call, blocking. */
export interface GetIdentitySyncOptions {
  /** What to tell the daemon about this process. */
  runner?: RunnerContext
  /** Milliseconds for this call, instead of the client's. `null`: wait for ever. */
  timeout?: number | null
}

/** One call. */
export interface GetIdentityOptions extends GetIdentitySyncOptions {
  /** Takes the call back; it rejects with the signal's `reason`. */
  signal?: AbortSignal
}

/**
 * Ask the daemon who this process is.
 *
 * @example
 * const { getIdentity } = require('countersign')
 * const me = await getIdentity({ runner: { instanceId: 7, extra: { zone: 'b' } } })
 * console.log(`I am ${me.identity}, my configuration is at ${me.configUrl}`)
 *
 * @throws {@link CountersignError} with
 * - `ERR_SOCKET_NOT_FOUND`: nothing at the path (`path`)
 * - `ERR_CONNECTION_FAILED`: no process listens there, or no permission (`path`, `errno`, `syscallError`)
 * - `ERR_UNTRUSTED_SERVER`: the listener is not what `expectServer` asks for (`path`, `field`, `expected`, `actual`)
 * - `ERR_TIMEOUT`: no answer in time (`timeout`)
 * - `ERR_WRITE`, `ERR_READ`: the connection broke (`errno`, `syscallError`)
 * - `ERR_DAEMON`: the daemon refused (`daemonCode`, `daemonMessage`)
 * - `ERR_MISSING_FIELD`: the answer lacks a field (`field`)
 * - `ERR_INVALID_JSON`, `ERR_RESPONSE_TOO_LARGE`: the answer is not one JSON document of the known shape, or larger
 *   than 1 MiB
 * - `ERR_IDENTITY_MISMATCH`: with `verifySelf`, the answer is about another process (`field`, `expected`, `actual`)
 * - `ERR_INVALID_ARGUMENT`: an option cannot mean anything, or is not known
 *
 * An aborted `signal` rejects with its `reason`.
 */
export function getIdentity(options?: IdentityClientOptions & GetIdentityOptions): Promise<Identity>

/**
 * The same as {@link getIdentity}, blocking the thread until the answer is there or the time is over.
 *
 * @example
 * const { getIdentitySync } = require('countersign')
 * const { identity } = getIdentitySync({ timeout: 1000 })
 *
 * @throws {@link CountersignError} as {@link getIdentity} does
 */
export function getIdentitySync(options?: IdentityClientOptions & GetIdentitySyncOptions): Identity

/**
 * A daemon's address and the rules for talking to it. It holds no connection: each call opens one of its own.
 *
 * @example
 * const { IdentityClient } = require('countersign')
 * const client = new IdentityClient({ socketPath: '/run/acme/whoami.sock', expectServer: { uid: 0 }, timeout: 500 })
 * const me = await client.getIdentity({ signal: AbortSignal.timeout(200) })
 */
export class IdentityClient {
  /**
   * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT` for an option that cannot mean anything, or is not known
   */
  constructor(options?: IdentityClientOptions)
  /** The daemon's Unix socket. */
  readonly socketPath: string
  /** Milliseconds for a whole call; `null` for no limit. */
  readonly timeout: number | null
  /** Ask who this process is. Fails as {@link getIdentity} does. */
  getIdentity(options?: GetIdentityOptions): Promise<Identity>
  /** The same, blocking the thread. */
  getIdentitySync(options?: GetIdentitySyncOptions): Identity
}

/**
 * Who the daemon says this process is. Frozen.
 *
 * The token is shown nowhere but under its own name: not by `util.inspect`, `JSON.stringify`, a spread or a structured
 * clone.
 *
 * @example
 * const me = await getIdentity()
 * await fetch(me.configUrl, {
 *   method: 'POST',
 *   headers: { authorization: `Bearer ${me.token}`, 'content-type': 'application/json' },
 *   body: me.runner.toWire(),
 * })
 */
export class Identity {
  private constructor()
  /** Its name, such as `BILLING_PROD`. */
  readonly identity: string
  /** Where this identity logs in: an OAuth2/OIDC URL. May be empty. */
  readonly idmUrl: string
  /** Where this identity gets its configuration. May be empty. */
  readonly configUrl: string
  /** A credential for the two. May be empty. Secret. */
  get token(): string
  /** The process as the daemon saw it. */
  readonly runner: Runner
  /** Everything, with the token redacted. */
  toJSON(): { identity: string; idmUrl: string; configUrl: string; token: '[redacted]'; runner: Runner }
  /** The name. */
  toString(): string
}

/** The process as the daemon saw it, and what the caller said about itself. Frozen. */
export class Runner {
  private constructor()
  /** The identity's name again; empty when the daemon does not say. */
  readonly identity: string
  /** The host; empty when the daemon does not say. */
  readonly hostname: string
  /** The process name; empty when the daemon does not say. */
  readonly process: string
  /** Process id. `undefined` when the daemon does not say. */
  readonly pid: number | undefined
  /** Effective user id. `undefined` when the daemon does not say: never taken for 0, which is root. */
  readonly uid: number | undefined
  /** Effective group id. `undefined` when the daemon does not say. */
  readonly gid: number | undefined
  /** What the caller said. A `bigint` beyond 2^53-1. */
  readonly instanceId: number | bigint | undefined
  /** What the caller said, Unix seconds. A `bigint` beyond 2^53-1. */
  readonly timestamp: number | bigint | undefined
  /** What else the caller said. Without a prototype, frozen all the way down; integers beyond 2^53-1 are `bigint`. */
  readonly extra: Readonly<Record<string, unknown>>
  /**
   * The wire form for `JSON.stringify(identity.runner)`: snake_case, extras flattened, nothing that is absent. Hand it
   * to a configuration server as it is.
   *
   * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT` for an integer beyond 2^53-1 where the runtime has no
   * `JSON.rawJSON` (Node.js 20): {@link Runner.toWire} writes it everywhere
   */
  toJSON(): Record<string, unknown>
  /** The wire form as text, exact on every runtime. */
  toWire(): string
}

// ---------------------------------------------------------------------------------------------------------------------
// Who are you

/** A connected `net.Socket` (an http request's `req.socket`, a `tls.TLSSocket` over a Unix socket) or a descriptor. */
export type PeerTarget = Socket | number

/** What the kernel wrote down about a peer when it connected (or, for a server, when it started to listen). Frozen. */
export interface PeerCredentials {
  /**
   * Process id, in this process's pid namespace; 0 for a process outside of it. `undefined` where the system cannot
   * say.
   */
  readonly pid: number | undefined
  /** Effective user id. */
  readonly uid: number | undefined
  /** Effective group id. */
  readonly gid: number | undefined
  /** Supplementary group ids. `undefined` where the system cannot say. */
  readonly groups: readonly number[] | undefined
  /** The label of a security module such as SELinux. `undefined` without one. */
  readonly securityLabel: string | undefined
}

/** A peer's credentials, and what is proven of the process behind them. Frozen. */
export interface PeerProcess extends PeerCredentials {
  /** The executable's path, when it is proven to be the peer's; else see `exeDoubt`. */
  readonly exe: string | undefined
  /** Why the executable is not proven, and the path that was read all the same. */
  readonly exeDoubt: ExeDoubt | undefined
  /** SHA-256 of the executable, 64 hexadecimal digits; only when asked for. */
  readonly exeSha256: string | undefined
  /** The process name (at most 15 bytes). A process names itself: it proves nothing. */
  readonly process: string | undefined
  /** When the process started. */
  readonly startTime: Date | undefined
  /** The path of its control group. */
  readonly cgroup: string | undefined
}

/** Why an executable's path is not to be trusted. */
export interface ExeDoubt {
  /**
   * - `deleted`: the file was removed or replaced
   * - `other_mount`: the path leads to another file here, or the process sees other mounts
   * - `not_holder`: the process no longer holds the other end of the socket
   * - `permission`: not ours to read
   * - `unsupported`: the system cannot say
   */
  readonly reason: 'deleted' | 'other_mount' | 'not_holder' | 'permission' | 'unsupported'
  /** The path as it was read, good for a message and nothing else. */
  readonly path: string | undefined
}

/**
 * What a peer must be. Every field given must hold. An unknown field, a field that is `undefined` and a policy without
 * any condition are `ERR_INVALID_ARGUMENT`: a typo must never widen access.
 */
export interface PeerPolicy {
  /** Effective user id. */
  uid?: number
  /** Effective group id. */
  gid?: number
  /** A group the peer is in, as primary or supplementary group: its id, or its name on this system. */
  group?: number | string
  /** The executable: an absolute path, or a directory with a trailing `/*` (everything below it). */
  exe?: string
  /** SHA-256 of the executable, 64 hexadecimal digits, taken of the very file the process runs. */
  exeSha256?: string
  /** The process name, at most 15 bytes. A process names itself: not accepted alone (see `allowSpoofable`). */
  process?: string
  /** Process id. */
  pid?: number
  /** Control group: a path, or one with a trailing `/*`. */
  cgroup?: string
  /** The systemd unit the process runs in, such as `billing.service`. */
  unit?: string
  /** Accept a policy that rests on `process` alone. */
  allowSpoofable?: boolean
}

/**
 * One policy, several of which one must hold, or a function. A function must answer `true` or `false` at once; anything
 * else, a promise included, refuses the peer.
 */
export type PeerPolicies = PeerPolicy | readonly PeerPolicy[] | ((peer: PeerProcess) => boolean)

/** The condition of a policy that did not hold. */
export interface PeerDenial {
  /** The name of the field. */
  readonly field: string
  /** What the policy asks for. */
  readonly expected: string
  /** What the peer is. */
  readonly actual: string
}

/**
 * Who is at the other end of a connected Unix socket: what the kernel wrote down when the connection was made. It
 * cannot be forged, and it stays true after the peer has ended.
 *
 * @example
 * const { getPeerCredentials } = require('countersign')
 * require('node:net').createServer((socket) => {
 *   const { pid, uid } = getPeerCredentials(socket)
 *   socket.end(`you are process ${pid} of user ${uid}\n`)
 * }).listen('/run/acme/who.sock')
 *
 * @throws {@link CountersignError} with
 * - `ERR_NOT_A_UNIX_SOCKET`: TCP, a pipe, a file, a listening socket
 * - `ERR_CLOSED`: not connected yet, closed, or no such descriptor
 * - `ERR_PEER_UNREADABLE`: the system would not say (`errno`, `syscallError`)
 * - `ERR_UNSUPPORTED_PLATFORM`: the system or the runtime cannot say
 * - `ERR_INVALID_ARGUMENT`: neither a socket nor a descriptor
 */
export function getPeerCredentials(socket: PeerTarget): PeerCredentials

/**
 * The process at the other end, proven to be the one that connected: its facts are read while the kernel keeps hold of
 * that very process, and a process that ended meanwhile is refused rather than guessed at.
 *
 * @example
 * const { getPeerProcess } = require('countersign')
 * const { exe, startTime } = getPeerProcess(req.socket)
 *
 * @param options `sha256`: hash the executable too (it is read in full; default `false`)
 * @throws {@link CountersignError} as {@link getPeerCredentials} does, and `ERR_PEER_GONE`: the process has ended
 */
export function getPeerProcess(socket: PeerTarget, options?: { sha256?: boolean }): PeerProcess

/**
 * The process at the other end if the policy accepts it.
 *
 * @example
 * const { authorizePeer } = require('countersign')
 * server.on('connection', (socket) => {
 *   try {
 *     authorizePeer(socket, [{ uid: 0 }, { uid: 1001, exe: '/usr/lib/acme/*' }])
 *   } catch (error) {
 *     return socket.destroy(error)
 *   }
 *   serve(socket)
 * })
 *
 * @throws {@link CountersignError} as {@link getPeerProcess} does, and `ERR_PEER_DENIED`: no policy accepts it
 * (`field`, `expected`, `actual` of the first policy, `denials` of all, `peer`)
 */
export function authorizePeer(socket: PeerTarget, policy: PeerPolicies): PeerProcess

/** How to connect to a server that is to be verified. */
export interface ConnectVerifiedOptions {
  /** Takes it back; it rejects with the signal's `reason`. */
  signal?: AbortSignal
  /** Milliseconds until the connection must be there. `null`: wait for ever. Default 5000. */
  timeout?: number | null
  /** Keep the writing side open when the server has closed its own. Default `false`. */
  allowHalfOpen?: boolean
}

/**
 * Connect to a Unix socket, and hand it over only when the process that listens there is the right one. Not one byte
 * goes to any other.
 *
 * @example
 * const { connectVerified } = require('countersign')
 * const socket = await connectVerified('/run/acme/acmed.sock', { uid: 0, exe: '/usr/lib/acme/acmed' })
 * socket.write('hello\n')
 *
 * @throws {@link CountersignError} with
 * - `ERR_UNTRUSTED_SERVER`: the listener is not what the policy asks for, or cannot be told (`path`, `field`,
 *   `expected`, `actual`; the reason in `cause`)
 * - `ERR_SOCKET_NOT_FOUND`, `ERR_CONNECTION_FAILED`, `ERR_TIMEOUT`, `ERR_INVALID_ARGUMENT`
 */
export function connectVerified(path: string, policy: PeerPolicies, options?: ConnectVerifiedOptions): Promise<Socket>

// ---------------------------------------------------------------------------------------------------------------------
// What can go wrong

/** The system's own answer behind an error. */
export interface SystemErrorDetails {
  /** Negative, as Node.js has it: `-13`. `undefined` when the system gave none. */
  readonly errno: number | undefined
  /** Its name: `EACCES`. `undefined` when the system gave none. */
  readonly syscallError: string | undefined
}

/** The details an error carries, by its code. */
export interface CountersignErrorDetails extends PrincipalErrorDetails, SpiffeErrorDetails, WorkloadApiErrorDetails {
  /** An argument or option that cannot mean anything, or is not known; for options of a verification, the `rule`. */
  ERR_INVALID_ARGUMENT: { readonly rule?: string }
  /** Nothing at that path. `endpoint` is that of a Workload API. */
  ERR_SOCKET_NOT_FOUND: { readonly path?: string; readonly endpoint?: string }
  /** Something is there, but no connection, or none that lasts. `endpoint` is that of a Workload API. */
  ERR_CONNECTION_FAILED: Partial<SystemErrorDetails> & { readonly path?: string; readonly endpoint?: string }
  /** The connection broke before the answer was complete. */
  ERR_READ: SystemErrorDetails
  /** The request could not be written, and there was no answer. */
  ERR_WRITE: SystemErrorDetails
  /** The answer is not one JSON document of the known shape. */
  ERR_INVALID_JSON: {}
  /** The answer lacks a field. */
  ERR_MISSING_FIELD: { readonly field: string }
  /** The daemon refused: its code (`E_NO_MATCH`; `E_DENIED` of the control socket, ...) and message, verbatim. */
  ERR_DAEMON: { readonly daemonCode: string; readonly daemonMessage: string }
  /** The time is over: the milliseconds that were allowed. `stage`: what a call of a Workload API was doing. */
  ERR_TIMEOUT: { readonly timeout: number; readonly stage?: string }
  /**
   * The answer is larger than 1 MiB, a message of the Workload API larger than 16 MiB, its verdict larger than 1 MiB.
   */
  ERR_RESPONSE_TOO_LARGE: {}
  /** The server is not who it should be, or cannot be told; the reason is in `cause`. */
  ERR_UNTRUSTED_SERVER: Partial<PeerDenial> & {
    readonly path: string
    readonly peer?: PeerCredentials
  }
  /** With `verifySelf`: the answer is about another process. */
  ERR_IDENTITY_MISMATCH: {
    readonly field: 'pid' | 'uid' | 'gid'
    readonly expected: number | undefined
    readonly actual: number | undefined
  }
  /** The policy does not accept the peer. `field` is `'function'` when a function refused. */
  ERR_PEER_DENIED: {
    readonly field: string
    readonly expected?: string
    readonly actual?: string
    /** What failed in each policy. */
    readonly denials?: readonly PeerDenial[]
    readonly peer: PeerCredentials
  }
  /** The peer's process has ended: nothing more can be proven of it. */
  ERR_PEER_GONE: {}
  /** The system would not say who the peer is. */
  ERR_PEER_UNREADABLE: SystemErrorDetails
  /** TCP, a pipe, a file, a listening socket. */
  ERR_NOT_A_UNIX_SOCKET: {}
  /** Not connected yet, closed, or no such descriptor; a client or source that is closed. */
  ERR_CLOSED: { readonly state?: 'closed'; readonly endpoint?: string }
  /** The agent answered an operator with an empty line: it failed, or cannot write its answer down. */
  ERR_EMPTY_REPLY: { readonly path: string }
  /** An audit log that is not what was written, or cannot be read. */
  ERR_INVALID_LOG: { readonly path: string }
  /** This system or runtime cannot do it. */
  ERR_UNSUPPORTED_PLATFORM: {}
  /** A source that others wrote threw something, or gave something of another kind; what it threw is in `cause`. */
  ERR_SOURCE_FAILED: {}
  /** The native addon cannot be loaded: the message says what was tried and how to fix it. Thrown by `require`. */
  ERR_NATIVE_UNAVAILABLE: {}
}

/** Every code an error can have. */
export type CountersignErrorCode = keyof CountersignErrorDetails

/** An error with a certain code, and the details that come with it. */
export type CountersignErrorOf<Code extends CountersignErrorCode> = Error &
  CountersignErrorDetails[Code] & {
    readonly name: 'CountersignError'
    /** Which error this is: stable, unlike the message. */
    readonly code: Code
  }

/**
 * What everything here fails with. `code` tells which error it is, and with it which details there are.
 *
 * @example
 * const { CountersignError, getIdentity } = require('countersign')
 * try {
 *   await getIdentity()
 * } catch (error) {
 *   if (!CountersignError.is(error)) throw error
 *   switch (error.code) {
 *     case 'ERR_DAEMON': console.error(`refused: ${error.daemonCode}`); break
 *     case 'ERR_SOCKET_NOT_FOUND': console.error(`no daemon at ${error.path}`); break
 *     default: throw error
 *   }
 * }
 */
export type CountersignError = { [Code in CountersignErrorCode]: CountersignErrorOf<Code> }[CountersignErrorCode]

export interface CountersignErrorConstructor extends Function {
  readonly prototype: CountersignError
  /**
   * Is this one of ours? Works across copies of the package, where `instanceof` does not.
   *
   * @example
   * process.on('unhandledRejection', (reason) => {
   *   if (CountersignError.is(reason)) console.error(reason.code)
   * })
   */
  is(value: unknown): value is CountersignError
}

/** For `instanceof` and {@link CountersignErrorConstructor.is}; errors are made by this package only. */
export const CountersignError: CountersignErrorConstructor

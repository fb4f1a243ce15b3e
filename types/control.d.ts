/**
 * `countersign/control`: monitor and control an agent. For operators and their tools.
 *
 * The agent answers on a socket of its own (0600), and authorizes each request by the user the kernel names: the
 * agent's own user and root may do everything, others only what they are named for. The wire is that of the crate
 * `secureops-ipc` (one JSON object a line), with extensions; docs/control.md describes it.
 *
 * @example
 * const { ControlClient } = require('countersign/control')
 *
 * using agent = new ControlClient()
 * const { rules, answered, killSwitch } = await agent.status()
 * if (suspicious) await agent.kill({ reason: 'stolen credentials, see INC-1234' })
 */
import type { PeerPolicies } from '../index.js'

export { CountersignError } from '../index.js'

/** How much something matters, the worst first. */
export type Severity = 'CRITICAL' | 'HIGH' | 'MEDIUM' | 'LOW' | 'INFO'

/** Something an operator may want to know as it happens. */
export interface Alert {
  /** When it happened. */
  readonly timestamp: Date
  readonly severity: Severity
  /**
   * What noticed it: `whoami`, `workload-api`, `svid-expiry`, `rules`, `authority`, `control`, `kill-switch`,
   * `self_audit`, `audit-log`, `agent`, `subscription`.
   */
  readonly monitor: string
  /** What happened, in a sentence. */
  readonly message: string
  readonly details: string | undefined
  /** The number of the alert, which grows by one with each. It begins anew when the agent does. */
  readonly seq: number | undefined
  /** In an alert of `subscription`: how many alerts the reader lost because it was too slow. */
  readonly missed: number | undefined
}

/** Who turned the kill switch on, and why. */
export interface KillOrder {
  readonly activated: Date | undefined
  readonly reason: string
  readonly activatedBy: string
}

/** The same question by processes of the same name and user, with the same answer. */
export interface CallerRow {
  readonly uid: number | undefined
  /** The last process that asked. */
  readonly pid: number | undefined
  readonly process: string
  /** The identity or SPIFFE ID; empty for a refusal. */
  readonly answer: string
  /** `ok`, or why it was refused. */
  readonly code: string
  readonly count: number
  readonly last: Date
}

/** The X509-SVID a process was given last. */
export interface SvidRow {
  readonly uid: number | undefined
  readonly pid: number | undefined
  readonly process: string
  readonly spiffeId: string
  readonly issued: Date
  readonly expires: Date
}

/** How an agent does. */
export interface AgentStatus {
  readonly running: boolean
  /** Whether identities are issued. Not while the kill switch is on, or the audit log cannot be written. */
  readonly vouching: boolean
  readonly killSwitch: KillOrder | undefined
  readonly version: string
  readonly pid: number
  readonly uid: number
  readonly started: Date
  /** Milliseconds. */
  readonly uptime: number
  /** How many rules are in force. */
  readonly rules: number
  readonly rulesFile: string | undefined
  readonly sockets: { readonly whoami: string; readonly workload: string | undefined; readonly control: string }
  /** Whoami responses by code: `ok`, `E_NO_MATCH`, ... */
  readonly answered: Readonly<Record<string, number>>
  /** Connections that are kept waiting. */
  readonly active: number
  /** Times the kernel refused the agent a connection. */
  readonly acceptErrors: number
  /** The last alerts of more than passing interest. */
  readonly alerts: readonly Alert[]
  /** All alerts, by severity. */
  readonly alertCounts: Readonly<Record<Severity, number>>
  /** When the agent audited itself last. */
  readonly lastCheck: Date | undefined
  /** Who asked lately, the most recent first. */
  readonly callers: readonly CallerRow[]
  /** The SVIDs that end next. */
  readonly svids: readonly SvidRow[]
  readonly workloadApi:
    | {
        readonly trustDomain: string
        readonly connections: number
        readonly x509Svids: number
        readonly jwtSvids: number
        readonly turnedAway: number
      }
    | undefined
  readonly auditLog:
    | {
        readonly path: string
        /** The public half of its key, base64. */
        readonly key: string
        /** The last line that is written, and the last that is known to be on the disk. */
        readonly written: number
        readonly onDisk: number
        /** Events that are not written yet. */
        readonly waiting: number
        /** Why it cannot be written. */
        readonly failing: string | undefined
        /** Events that are in no log, and decisions that were revoked because they could not be recorded. */
        readonly lost: number
        readonly takenBack: number
      }
    | undefined
}

/** Something an audit found (schema of `secureops-core`). */
export interface AuditFinding {
  /** What kind of finding: `CS-RULE-001`. The same in every report. */
  readonly id: string
  readonly severity: Severity
  readonly category: string
  readonly title: string
  readonly description: string
  readonly evidence: string
  readonly remediation: string
  /** Can `fix` repair it? */
  readonly autoFixable: boolean
  readonly references: readonly string[]
  readonly owaspAsi: string
  readonly maestroLayer?: 'L1' | 'L2' | 'L3' | 'L4' | 'L5' | 'L6' | 'L7'
  readonly nistCategory?: 'evasion' | 'poisoning' | 'privacy' | 'misuse'
}

/** What a self audit of the agent found (schema of `secureops-core`). */
export interface AuditReport {
  readonly timestamp: Date
  readonly openclawVersion: string
  readonly secureopsVersion: string
  readonly platform: string
  readonly deploymentMode: string
  /** 100 less 15, 8, 3 and 1 for each finding that is CRITICAL, HIGH, MEDIUM and LOW; at least 0. */
  readonly score: number
  readonly findings: readonly AuditFinding[]
  readonly summary: {
    readonly critical: number
    readonly high: number
    readonly medium: number
    readonly low: number
    readonly info: number
    readonly autoFixable: number
  }
}

export interface ControlClientOptions {
  /** Default: `$COUNTERSIGN_CONTROL_SOCKET`, else `/run/countersign/control.sock`. */
  socketPath?: string
  /** Milliseconds for a call, connecting included; null: none. Default 5000. */
  timeout?: number | null
  /** Say nothing to a server that is not this. */
  expectServer?: PeerPolicies
}

export interface ControlCallOptions {
  /**
   * Give up: the call rejects with the reason, and its late answer is ignored. What was asked may be done
   * all the same.
   */
  signal?: AbortSignal
  /** Instead of the client's. */
  timeout?: number | null
}

export interface SubscribeOptions {
  /** Ends the subscription: the iterator throws the reason. */
  signal?: AbortSignal
  /** The `seq` of the last alert that is known: what came after it comes first, as far as the agent kept it. */
  after?: number
  /** Go on when the agent is there again, from the last alert. Default true. */
  reconnect?: boolean
}

/** Alerts as they happen. Leaving the loop ends it. */
export interface AlertSubscription extends AsyncIterableIterator<Alert> {
  next(): Promise<IteratorResult<Alert, undefined>>
  return(): Promise<IteratorResult<Alert, undefined>>
  [Symbol.asyncIterator](): AlertSubscription
  close(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Reads the status of an agent and controls it, over one connection that is opened on demand and reopened after a
 * failure. Calls may run concurrently, and may be cancelled at any time. Only a pending call keeps the process alive.
 *
 * Every method fails with a {@link CountersignError}:
 * - `ERR_DAEMON`: the agent refused; `daemonCode` is `E_DENIED` (permission denied), `E_BAD_REQUEST`, `E_BUSY`,
 *   `E_RULES`, `E_STATE`, `E_INTERNAL` or `E_TOO_LARGE`
 * - `ERR_SOCKET_NOT_FOUND`, `ERR_CONNECTION_FAILED`: no agent answers, or the connection broke
 * - `ERR_TIMEOUT`, `ERR_UNTRUSTED_SERVER`, `ERR_CLOSED`, `ERR_INVALID_ARGUMENT`
 * - `ERR_EMPTY_REPLY`: a server built on `secureops-ipc` failed; it reports no reason
 * - `ERR_INVALID_JSON`, `ERR_MISSING_FIELD`, `ERR_RESPONSE_TOO_LARGE`: the reply is not valid
 */
export class ControlClient {
  constructor(options?: ControlClientOptions)
  get socketPath(): string
  get timeout(): number | null
  /** Whether an agent answers. */
  ping(options?: ControlCallOptions): Promise<void>
  /** The status of the agent. */
  status(options?: ControlCallOptions): Promise<AgentStatus>
  /** Recent alerts, the oldest first. Default: the last 100. */
  alerts(options?: ControlCallOptions & { limit?: number }): Promise<Alert[]>
  /**
   * New alerts from now on. A reader that is slower than the agent learns how many alerts it missed (`missed`).
   *
   * @example
   * for await (const { severity, message } of agent.subscribe()) if (severity === 'CRITICAL') page(message)
   */
  subscribe(options?: SubscribeOptions): AlertSubscription
  /** Read the rules again. `E_RULES`: they are invalid, and the old ones stay in force. */
  reloadPolicy(options?: ControlCallOptions): Promise<{ rules: number; warnings: string[] }>
  /**
   * Issue no identity until resumed, also after a restart (`persistent`). A workload with an SVID on an open stream is
   * informed at once. `E_STATE`: the switch is on, but could not be written to disk, and a restart would lose it.
   */
  kill(options?: ControlCallOptions & { reason?: string }): Promise<{ persistent: boolean }>
  /** Issue identities again. `E_STATE`: the switch could not be removed, and stays on. */
  resume(options?: ControlCallOptions): Promise<{ wasKilled: boolean }>
  /**
   * Run the self audit of the agent. `deep` reads executables and the whole audit log; `fix` repairs modes of the
   * agent's own files, nothing else.
   */
  audit(options?: ControlCallOptions & { deep?: boolean; fix?: boolean }): Promise<AuditReport>
  /** Counters in the text format of Prometheus. */
  metrics(options?: ControlCallOptions): Promise<string>
  /** Close the connection; pending calls fail with `ERR_CLOSED`. */
  close(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/** An audit log that holds together. */
export interface VerifiedLog {
  readonly files: number
  /** The first line that is there (older files are removed in time, and the log says so), and the last. */
  readonly first: number
  readonly firstTime: Date
  readonly last: number
  readonly lastTime: Date
  /** SHA-256 of the last line: keep it elsewhere, and this log can be held against it later. */
  readonly lastHash: string
  /** The last line a signature stands for. Lines behind it may be forged. */
  readonly signed: number
  /** Bytes of a line that was being written when the agent was ended by force. */
  readonly torn: number
  /** The key it is signed with, base64. */
  readonly key: string
  /** How far it is known to have been on the disk, and when. Undefined without the head. */
  readonly synced: number | undefined
  readonly syncedTime: Date | undefined
  /** The first line that is older than the one before it: the clock was set back. */
  readonly clockWentBack: number | undefined
}

export interface VerifyLogOptions {
  /**
   * The public keys it may be signed with, as PEM or base64. Without: whatever key the log names, which proves no more
   * than that it holds together. Keep the agent's `.pub` in a place that users who can write the log cannot write to.
   */
  keys?: readonly string[]
  /** Do without the head (`.head`): then an end that was cut off is not noticed. */
  withoutHead?: boolean
}

/**
 * Find any edit, deletion, line out of order, and end that was cut off.
 *
 * @throws {@link CountersignError} `ERR_INVALID_LOG` with the line and what is wrong
 */
export function verifyLog(file: string, options?: VerifyLogOptions): Promise<VerifiedLog>

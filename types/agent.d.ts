/**
 * `countersign/agent`: the agent in this process. It answers identity-by-PID requests and serves the SPIFFE Workload
 * API, out of one set of rules.
 *
 * It is the authority of one machine: what it issues is trusted where its bundle is trusted, and its keys are not
 * replicated. A fleet wants SPIRE; then only `SPIFFE_ENDPOINT_SOCKET` changes, not one line of code.
 */
import type { SpiffeBundle, SpiffeId, TrustDomain } from '../index.js'

/**
 * What a caller must be. Every condition must hold; each is about what the kernel says of the process that connected.
 */
export interface RuleMatch {
  /** Effective user id. */
  uid?: number
  /** The same by name. */
  user?: string
  /** Effective group id. */
  gid?: number
  /** A group by name or id; a supplementary one counts. */
  group?: string | number
  /** The executable is this file, or lies below this directory (`/opt/acme/*`). */
  exe?: string
  /** SHA-256 of what the process runs, 64 hexadecimal digits. */
  exeSha256?: string
  /** The process name. A process names itself: alone it takes `allowSpoofable`. */
  process?: string
  /** The control group, or one below it (`/system.slice/*`). */
  cgroup?: string
  /** The systemd system unit. */
  unit?: string
}

/** One rule: whom it is for, and what such a process is given. At least one of `identity` and `spiffeId`. */
export interface RuleConfig {
  match: RuleMatch
  /** The identity in the answer to a whoami request. The first matching rule that has one decides. */
  identity?: string
  idmUrl?: string
  configUrl?: string
  /** Handed out with the identity. One of the two. */
  token?: string
  /** An absolute path, read when it is needed. */
  tokenFile?: string
  allowSpoofable?: boolean
  /** The name in the SVIDs. Every matching rule that has one gives an SVID; the first is the default identity. */
  spiffeId?: SpiffeId | string
  /** What an operator calls the SVID, at most 1024 bytes; unique among the SVIDs of a process, the first counts. */
  hint?: string
  /** Milliseconds an X509-SVID lives, rounded up to seconds. Default: that of `workloadApi`. */
  x509SvidTtl?: number
  /** Milliseconds a JWT-SVID lives, rounded up to seconds. Default: that of `workloadApi`. */
  jwtSvidTtl?: number
  /**
   * DNS names in the X509-SVID besides the SPIFFE ID. The first is the common name as well, when it has at most 64
   * bytes.
   */
  dnsNames?: readonly string[]
  /** Foreign trust domains whose bundles the process is given; each must be in `workloadApi.federatesWith`. */
  federatesWith?: readonly (TrustDomain | string)[]
}

/** Where the bundle of a foreign trust domain is found. At least one of file and URL. */
export interface FederationConfig {
  /** An absolute path to a SPIFFE bundle document or PEM; looked at once a second. With a URL: what holds at first. */
  bundleFile?: string
  /** `https://`; fetched as often as the bundle asks for, else every 5 minutes. */
  bundleEndpointUrl?: string
  /** How the server of the URL proves itself: by public authorities, or by an X509-SVID. */
  bundleEndpointProfile?: 'https_web' | 'https_spiffe'
  /** With `https_spiffe`: who the server must be. */
  endpointSpiffeId?: SpiffeId | string
}

/** The Workload API as a whole. */
export interface WorkloadApiConfig {
  /** The trust domain this machine is the authority of. Every `spiffeId` is in it. */
  trustDomain: TrustDomain | string
  /** The socket. Default: one in a private directory. */
  socketPath?: string
  /** Where the keys are kept (0600), for the next start. Default: nowhere, they are gone with the agent. */
  stateDir?: string
  /** Milliseconds a root and a key for tokens live. Default 30 days. The next one is published half-way. */
  caTtl?: number
  /** Milliseconds an X509-SVID lives. Default 1 hour. A new one is sent half-way. */
  x509SvidTtl?: number
  /** Milliseconds a JWT-SVID lives. Default 5 minutes. */
  jwtSvidTtl?: number
  /** Foreign trust domains by name. */
  federatesWith?: Readonly<Record<string, FederationConfig>>
}

/** How an agent runs. Exactly one of `rules`, `rulesFile` and `dev`. */
export interface AgentConfig {
  /** The rules, in the order they are tried. */
  rules?: readonly RuleConfig[]
  /** A rules file; read again when it changes. What it says of the Workload API holds. */
  rulesFile?: string
  /** One rule, for this user and this executable: identity `DEV`, SPIFFE ID `spiffe://example.org/dev`. */
  dev?: boolean
  /** The path of the whoami socket. Default: one in a private directory. */
  socketPath?: string
  /** Permission bits of the sockets. Default 0o666: every process may connect, the rules decide. */
  socketMode?: number
  /** Serve the Workload API. */
  workloadApi?: WorkloadApiConfig
  /**
   * Where the kill switch is kept, for the next start; that of `workloadApi` if it has one. An absolute path. Default:
   * nowhere.
   */
  stateDir?: string
  /**
   * Answer operators (`countersign/control`). `true`: on a socket in a private directory. A development agent always
   * does.
   */
  control?: boolean | ControlConfig
  /** Keep a signed log of every decision: a path, or more. */
  auditLog?: string | AuditLogConfig
}

/** Who may see and steer the agent. */
export interface ControlConfig {
  /** The socket. Default: one in a private directory. */
  socketPath?: string
  /**
   * Its permission bits. Default 0o600, or 0o666 when others are named; each request is authorized by its user all the
   * same.
   */
  socketMode?: number
  /** User ids that may look, besides the agent's own and root. */
  readers?: readonly number[]
  /** User ids that may look and steer. */
  writers?: readonly number[]
}

/** How the audit log is kept. */
export interface AuditLogConfig {
  /** The file. Beside it lie its key (`.key`, 0600), the public half (`.pub`) and the head (`.head`). */
  path: string
  /** Let no answer leave before its line is on the disk. Default false: within a second. */
  sync?: boolean
  /** Begin another file from so many bytes on. Default 64 MiB. */
  maxBytes?: number
  /** Full files that are kept. Default 16. */
  keep?: number
  /**
   * When it cannot be written: issue no identity until it can (`refuse`, the default), or go on and say later what is
   * missing.
   */
  onFailure?: 'refuse' | 'continue'
}

/** What became of new rules. */
export interface RulesReport {
  /** How many are in force. */
  rules: number
  /** What is doubtful about them. */
  warnings: string[]
}

/** What an agent did so far. */
export interface AgentStats {
  /** Whoami responses by code. */
  answered: Record<string, number>
  /** The Workload API, if it is served. */
  workloadApi: { connections: number; x509Svids: number; jwtSvids: number; turnedAway: number } | null
}

/** The events of an agent, by type. The values are in `event.detail`. */
export interface AgentEventMap {
  /** An SVID was issued, or a token was verified. */
  issued: CustomEvent<{ pid: number | null; uid: number | null; method: string; spiffeId: string }>
  /** A caller of the Workload API was refused. */
  refused: CustomEvent<{ pid: number | null; uid: number | null; method: string; status: string }>
  /** New rules are in force. */
  reload: CustomEvent<{ rules: number }>
  /** New rules were not taken. */
  reloaderror: CustomEvent<{ message: string }>
  /** The kill switch was turned on: no identity is issued. */
  kill: CustomEvent<{ by: string; reason: string }>
  /** It was turned off. */
  resume: CustomEvent<{ by: string }>
  /** The keys of the authority changed. */
  keys: CustomEvent<{ sequence: number }>
  /** A foreign bundle was fetched, and is another one. */
  bundle: CustomEvent<{ trustDomain: string }>
  /** A foreign bundle could not be fetched; the last one stays in force. */
  bundleerror: CustomEvent<{ trustDomain: string; url: string; message: string }>
  /** The agent is closed. */
  close: Event
}

/** A running agent. It has threads of its own and keeps no process alive. */
export class Agent extends EventTarget {
  private constructor()
  /** The path of the whoami socket. */
  get socketPath(): string
  /** Where the Workload API is served: `unix:` and a path. */
  get endpoint(): string | undefined
  /** Where operators are answered, if they are. */
  get controlSocketPath(): string | undefined
  /** The trust domain it is the authority of. */
  get trustDomain(): TrustDomain | undefined
  /** The variables a child needs to find it: `spawn(cmd, { env: { ...process.env, ...agent.env } })`. */
  get env(): { WHOAMI_SOCKET: string; SPIFFE_ENDPOINT_SOCKET?: string; COUNTERSIGN_CONTROL_SOCKET?: string }
  /**
   * Go by these rules from now on: SVIDs are added and withdrawn on open streams.
   * @throws {@link CountersignError} `ERR_INVALID_RULES` with `path`, such as `rules[0].match.uid`; the old ones stay
   */
  setRules(rules: readonly RuleConfig[]): RulesReport
  /** Read the rules file now. Fails as `setRules` does, with `line` and `column`. */
  reload(): RulesReport
  /**
   * Change the keys ahead of their time. `prepare` publishes the next ones, `activate` lets them sign, `forget` takes
   * the old ones out of the bundle: whatever they signed is refused from then on. Says whether anything changed.
   */
  rotateAuthority(step: 'prepare' | 'activate' | 'forget'): boolean
  /** Its own bundle, or that of a foreign trust domain. @throws {@link CountersignError} `ERR_BUNDLE_NOT_FOUND` */
  bundle(trustDomain?: TrustDomain | string): SpiffeBundle
  /** What it did so far. */
  get stats(): AgentStats
  /** End all connections, and stop. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  addEventListener<T extends keyof AgentEventMap>(
    type: T,
    listener: (event: AgentEventMap[T]) => void,
    options?: AddEventListenerOptions | boolean
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: AddEventListenerOptions | boolean
  ): void
}

/**
 * Start an agent in this process.
 *
 * @throws {@link CountersignError} `ERR_INVALID_RULES` with `path`; `ERR_AGENT` when there is no socket or state to be
 *   had; `ERR_INVALID_ARGUMENT`; `ERR_UNSUPPORTED_PLATFORM`
 * @example
 * await using agent = await startAgent({
 *   rules: [{ match: { uid: process.getuid() }, spiffeId: 'spiffe://example.org/billing' }],
 *   workloadApi: { trustDomain: 'example.org' },
 * })
 * const source = await X509Source.open({ endpoint: agent.endpoint })
 */
export function startAgent(config: AgentConfig): Promise<Agent>

interface AddEventListenerOptions {
  once?: boolean
  passive?: boolean
  capture?: boolean
  signal?: AbortSignal
}
type EventListenerOrEventListenerObject = ((event: Event) => void) | { handleEvent(event: Event): void }

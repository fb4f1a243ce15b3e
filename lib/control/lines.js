'use strict'
/** Bytes that arrive in pieces, as lines. */

const { CountersignError } = require('../native/errors')

/** The longest line that is read: a report may have many findings. */
const MAX_LINE = 16 * 1024 * 1024
const LINE_FEED = 10

class Lines {
  /** @type {Buffer[]} */
  #pieces = []
  #length = 0
  #take

  /** @param {(line: string) => void} take gets each line, without its line feed */
  constructor(take) {
    this.#take = take
  }

  /** @param {Buffer} chunk */
  feed(chunk) {
    // Nearly always one whole line, or some.
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#take(this.#line(chunk, start, end))
      start = end + 1
    }
    if (start === chunk.length) return
    this.#length += chunk.length - start
    if (this.#length > MAX_LINE)
      throw new CountersignError('ERR_RESPONSE_TOO_LARGE', `a line is longer than ${MAX_LINE} bytes`)
    this.#pieces.push(start === 0 ? chunk : chunk.subarray(start))
  }

  /** The stream has ended: what stands there without a line feed is a line, too. */
  end() {
    if (this.#length > 0) this.#take(this.#line(Buffer.alloc(0), 0, 0))
  }

  /**
   * @param {Buffer} chunk
   * @param {number} start
   * @param {number} end
   */
  #line(chunk, start, end) {
    if (this.#length === 0) return chunk.toString('utf8', start, end)
    const line = Buffer.concat([...this.#pieces, chunk.subarray(start, end)]).toString('utf8')
    this.#pieces = []
    this.#length = 0
    return line
  }
}

module.exports = { Lines }

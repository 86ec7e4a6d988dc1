// What a file holds: lists of rows in blocks, which are unpacked when they are first asked for. One list is never
// unpacked in one go: whoever waits for all of it lets the page breathe in between.
// It knows rows, and nothing of what they mean.

const held = (() => {
  const head = JSON.parse($("data").textContent || "null") || { lists: {} };
  const unpacked = new Map();
  const TURN = 8; // milliseconds of work before others have theirs

  const breathe = () => (globalThis.scheduler?.yield ? scheduler.yield() : new Promise((go_) => setTimeout(go_)));

  function bytesOf(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const plain = atob(text);
    const bytes = new Uint8Array(plain.length);
    for (let at = 0; at < plain.length; at++) bytes[at] = plain.charCodeAt(at);
    return bytes;
  }

  function unpack(number) {
    if (!unpacked.has(number)) unpacked.set(number, open(number));
    return unpacked.get(number);
  }

  async function open(number) {
    const element = $(`block-${number}`);
    if (!element) throw new Error("This file is not whole: it ends too early. Ask for it again.");
    const bytes = bytesOf(element.textContent);
    element.remove();
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  }

  class List {
    constructor(blocks) {
      this.blocks = blocks || [];
      this.starts = [];
      this.length = 0;
      for (const [, rows_] of this.blocks) {
        this.starts.push(this.length);
        this.length += rows_;
      }
      this.whole = null;
    }

    // A block of the list, by its place among them.
    block(place) {
      return unpack(this.blocks[place][0]);
    }

    async at(place) {
      let low = 0, high = this.starts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.starts[middle] <= place) low = middle;
        else high = middle - 1;
      }
      return (await this.block(low))[place - this.starts[low]];
    }

    async slice(from, to) {
      const found = [];
      for (let place = 0; place < this.blocks.length; place++) {
        const begin_ = this.starts[place], until = begin_ + this.blocks[place][1];
        if (until > from && begin_ < to) found.push(...(await this.block(place)).slice(Math.max(0, from - begin_), to - begin_));
      }
      return found;
    }

    // All rows; kept.
    all() {
      this.whole ||= this.gather();
      return this.whole;
    }

    async gather() {
      const found = [];
      for (let place = 0; place < this.blocks.length; place++) {
        for (const row of await this.block(place)) found.push(row);
        await breathe();
      }
      return found;
    }
  }

  const lists = new Map();
  function list(name) {
    if (!lists.has(name)) lists.set(name, new List(head.lists[name]));
    return lists.get(name);
  }

  // Do something with each of many, and let the page breathe: the clock is looked at after so many of them.
  async function inTurns(many, each, together = 64) {
    let until = performance.now() + TURN;
    for (let at = 0; at < many; at++) {
      each(at);
      if (at % together === 0 && performance.now() > until) {
        await breathe();
        until = performance.now() + TURN;
      }
    }
  }

  // What is made once, when it is first asked for.
  function once(make) {
    let made = null;
    return () => (made ||= make());
  }

  function unknown(words) {
    return Object.assign(new Error(words), { status: 404 });
  }

  return { head, list, inTurns, once, unknown };
})();

// Time lines: ticks on the clock of whoever looks, stretches in words, and pauses that are folded away.
//
// Plain reckoning with numbers: nothing here draws, or knows what happened when. Times are in seconds since the epoch.

// Steps between ticks, in seconds: from a thousandth to a year.
const TIME_STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600,
  43200, 86400, 172800, 604800, 1209600, 2419200, 7862400, 31536000,
];

// Moments on the clock of whoever looks. Where a day begins, its date is told.
function timeTicks(from, to, most) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) || TIME_STEPS[TIME_STEPS.length - 1];
  const shift = new Date(from * 1000).getTimezoneOffset() * 60;
  const found = [];
  let day = null;
  for (let n = Math.ceil((from - shift) / step - 1e-9); n * step + shift <= to && found.length < 400; n++) {
    const at = n * step + shift;
    const date = new Date(Math.round(at * 1000));
    const today = date.toDateString();
    const label = step >= 86400 || (day !== null && today !== day) ? dayOf(date) : clock(date, step);
    day = today;
    found.push({ at, label });
  }
  return found;
}

const twoDigits = (number) => String(number).padStart(2, "0");
const dayOf = (date) => date.toLocaleDateString("en", { month: "short", day: "numeric" });

// A moment as hours and minutes, with as much of the rest as so many seconds can be told apart by.
function clock(date, seconds) {
  const time = `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`;
  if (seconds >= 60) return time;
  const whole = `${time}:${twoDigits(date.getSeconds())}`;
  if (seconds >= 1) return whole;
  return whole + (date.getMilliseconds() / 1000).toFixed(seconds >= 0.1 ? 1 : seconds >= 0.01 ? 2 : 3).slice(1);
}

// A time line in which pauses are folded away: `at` tells the place of a moment, in seconds of work from the beginning,
// and `back` the moment at a place. Each pause [from, to] takes `fold` seconds of it.
function foldedTime(from, pauses, fold) {
  const knots = [{ time: from, place: 0, rate: 1 }];
  let place = 0;
  let last = from;
  for (const pause of pauses) {
    place += pause.from - last;
    knots.push({ time: pause.from, place, rate: fold / (pause.to - pause.from) });
    place += fold;
    knots.push({ time: pause.to, place, rate: 1 });
    last = pause.to;
  }
  const before = (value, key) => {
    let low = 0;
    let high = knots.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (knots[middle][key] <= value) low = middle;
      else high = middle - 1;
    }
    return knots[low];
  };
  return {
    at: (time) => {
      const knot = before(time, "time");
      return knot.place + (time - knot.time) * knot.rate;
    },
    back: (place) => {
      const knot = before(place, "place");
      return knot.time + (place - knot.place) / knot.rate;
    },
  };
}

// Ticks of the stretches [from, to] between pauses, as far as they lie between two places, and as close as the time
// line as a whole has them.
function foldedTicks(fold, stretches, [low, high], most) {
  return stretches.flatMap((one) => {
    const [from, to] = [Math.max(fold.at(one[0]), low), Math.min(fold.at(one[1]), high)];
    return to > from ? timeTicks(fold.back(from), fold.back(to), Math.max(1, (most * (to - from)) / (high - low))) : [];
  });
}

// What is left between pauses.
function betweenPauses(pauses, from, to) {
  const starts = [from, ...pauses.map((one) => one.to)];
  return starts.map((start, n) => [start, n < pauses.length ? pauses[n].from : to]);
}

// What lies between the last of some moments before each start and that start, where it would crowd out the rest.
function pausesBefore(starts, moments) {
  const sorted = [...moments].sort((one, other) => one - other);
  const found = [];
  for (const start of starts.slice(1)) {
    const before = sorted.filter((at) => at < start - 0.001);
    if (before.length) found.push({ from: before[before.length - 1], to: start });
  }
  const all = sorted.length ? sorted[sorted.length - 1] - sorted[0] : 0;
  const work = all - found.reduce((sum, one) => sum + one.to - one.from, 0);
  return { pauses: found.filter((one) => one.to - one.from > Math.max(1, work / 20)), work };
}

// From one moment to another; the day is told once, where it is the same.
function timeSpan(from, to) {
  const [begin, end] = [from, to].map((at) => new Date(at * 1000));
  const until = begin.toDateString() === end.toDateString() ? clock(end, 1) : fmt.time(to);
  return `${fmt.time(from)} to ${until}`;
}

// Those of many ticks that have room for their words.
function spacedTicks(all, x, right) {
  let free = -Infinity;
  return all.filter(({ at, label }) => {
    const half = label.length * 3.6 + 6;
    if (x(at) - half < free || x(at) + half > right + 16) return false;
    free = x(at) + half;
    return true;
  });
}

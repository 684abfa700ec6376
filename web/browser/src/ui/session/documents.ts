/** A session as files: JSON that `moodspace report` reads, and CSV as `moodspace session-export` writes it. */

import { csvRow, rounded } from "../format.ts";
import { changes } from "./changes.ts";
import { type Session, sharesOf } from "./recorder.ts";

const DIGITS = 4;

/** The session as a JSON document; withheld counts and shares are null. */
export function sessionJson(session: Session): string {
  const named = (shares: readonly number[]) =>
    Object.fromEntries(session.classes.map((name, at) => [name, rounded(shares[at], DIGITS)]));
  const document = {
    format: "moodspace-session",
    version: 1,
    source: session.source,
    began: isoTime(session.began),
    ended: session.ended === null ? null : isoTime(session.ended),
    utc_offset: -60 * new Date(1000 * session.began).getTimezoneOffset(),
    duration: rounded(session.duration, 3),
    smallest_group: session.minGroup,
    classes: session.classes,
    since: session.since,
    seconds: session.seconds.map((one) => ({
      second: one.second,
      time: isoTime(one.wall),
      frames: one.frames,
      faces: one.faces,
      readable: one.readable,
      unsure: one.unsure,
      shares: one.shares && named(sharesOf(one, session)),
    })),
    changes: changes(session).map(({ second, size, before, after }) => ({
      second,
      size: rounded(size, DIGITS),
      before: named(before),
      after: named(after),
    })),
    gaps: session.gaps.map(({ start, stop, reason }) => ({ start: rounded(start, 3), stop: rounded(stop, 3), reason })),
    missing: [],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

/** The session as a table with one row a second. */
export function sessionCsv(session: Session): string {
  const few = `fewer than ${session.minGroup} faces`;
  const head = ["second", "time", "frames", "faces", "readable", "unsure", "withheld"];
  const rows = session.seconds.map((one) => {
    const withheld = one.readable !== null ? "" : one.faces === null ? few : `${few} that could be read`;
    const shares = one.shares
      ? sharesOf(one, session).map((share) => rounded(share, DIGITS))
      : session.classes.map(() => null);
    return csvRow([
      one.second,
      isoTime(one.wall),
      one.frames,
      one.faces,
      one.readable,
      one.unsure,
      withheld,
      ...shares,
    ]);
  });
  return `${[csvRow([...head, ...session.classes.map((name) => `share_${name}`)]), ...rows].join("\r\n")}\r\n`;
}

/** Unix seconds as Python writes them: 2026-11-28T16:04:05.123+00:00. */
function isoTime(seconds: number): string {
  return new Date(1000 * seconds).toISOString().replace("Z", "+00:00");
}

/** Words by language code. The package has no types of its own. */
declare module 'naughty-words' {
  const words: Readonly<Record<string, readonly string[]>>;
  export default words;
}

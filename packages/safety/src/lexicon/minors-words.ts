/**
 * The words of the check for sexual content with minors: English, German, French, Spanish. Phrases may stand with other signs between
 * their words; `Matcher` sees through disguise.
 */
const words = (list: string) =>
  list
    .split(/[,\n]/)
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** Sex as it is told: nobody who warns of it writes so. */
export const TOLD = words(`
  masturbate, masturbates, masturbated, masturbating, orgasm, orgasms, orgasmed, blowjob, blowjobs, blow job, handjob, hand job
  cumming, cumshot, had sex, has sex, having sex, making love to, made love to, had intercourse, oral sex, anal sex
  fucks her, fucks him, fucks the, fucks a, fucked her, fucked him, fucked the, fucked a, fucking her, fucking him, fuck her, fuck him
  raped the child, raped a child, raped the little, raped the girl, raped the boy, raped the kid, gangbang, threesome with, spread her legs, spread his legs, spreads her legs, touches herself, touched herself
  touches himself, touched himself, fondles, fondled, fondling, penetrates, penetrated her, penetrated him, penetrating her
  penetrating him, jerks off, jerked off, licked her pussy, sucked his cock, sucks his cock, suck his cock, deepthroat
  masturbiert, masturbierte, masturbierten, onaniert, onanierte, orgasmus, hat sex, hatte sex, haben sex, hatten sex, fickt, fickte
  gefickt, bläst ihm, blies ihm, schlief mit der, befriedigt sich, befriedigte sich
  se masturbe, se masturbait, orgasme, fait l'amour, faisait l'amour, faire l'amour, baise avec, suce sa bite, a couché avec
  se masturba, se masturbaba, orgasmo, tuvo sexo, tiene sexo, tener sexo, tuvieron sexo, hizo el amor, follar, folló, follaba, le chupó la polla
`);

/** Sex as it is named: by those who depict it, and by those who warn of it too. */
export const NAMED = words(`
  erotic, erotica, erotically, porn, porno, porns, pornographic, pornography, hentai, sexually explicit, sexually aroused, sex with
  sexual acts, sexual act, sexual intercourse, sexual fantasies, sexual fantasy, sex scene, sex scenes, sex story, sex stories, sex tape
  sexy, nude, nudes, sexting, underage sex, have sex, striptease, smut
  erotisch, erotische, erotischen, erotischer, erotisches, pornos, pornografisch, pornografische, pornografischen, sex mit, sexszene
  geschlechtsverkehr mit, nacktfotos, nacktbilder, kinderporno, kinderpornos, kinderpornografie, kinderpornographie
  érotique, érotiques, pornographique, pornographiques, pornographie, scène de sexe, relations sexuelles avec, rapport sexuel avec
  rapports sexuels avec, pédopornographie, photos nues
  erótico, erótica, eróticos, eróticas, pornográfico, pornográfica, pornografía, escena de sexo, sexo con, relaciones sexuales con
`);

/** What alone is said of children by doctors and parents too, but not of two of these kinds at once. */
export const HINTS: readonly (readonly string[])[] = [
  words(`penis, vagina, breasts, nipples, genitals, pussy, cock, cunt, dick, tits, ass, clitoris, schwanz, muschi, brüste
    bite, chatte, seins, pene, polla, coño, tetas`),
  words(
    `naked, undressed, undresses, undressing, panties, topless, nackt, nackte, nackten, nackter, nue, nues, desnuda, desnudo, desnudas`,
  ),
  words(`cum, horny, moaned, moans, moaning, aroused, arousal, erection, lust, lustful, seduced, seduces, seductive, climaxed, thrust into, thrusts into
    touched her, touched him, caressed, caresses, kissed her, kissed him, stöhnte, stöhnt, erregt, erregte, gémit, gémissait, excitée, gemía, gimió, excitada`),
];

export const MINORS = words(`
  child, children, childs, minor, minors, toddler, toddlers, infant, infants, preteen, preteens, pre teen, tween, tweens, underage, underaged
  schoolgirl, schoolgirls, schoolboy, schoolboys, schoolchild, schoolchildren, little girl, little girls, little boy, little boys, young girl
  young girls, young boy, young boys, small girl, small boy, kid, kids, kiddie, kiddy, lolita, lolitas, shota, loli, lolis, lolicon
  shotacon, jailbait, juvenile, juveniles, teen, teens, teenage, teenager, teenagers, adolescent, adolescents, middle schooler
  middle schoolers, first grader, kindergartner, underage sex
  kind, kinder, kindes, kindern, minderjährig, minderjährige, minderjährigen, minderjähriger, kleinkind, kleinkinder, schulmädchen
  kleines mädchen, kleinen mädchen, kleine mädchen, kleiner junge, kleinen jungen, kinderporno, kinderpornos, kinderpornografie, kinderpornographie
  enfant, enfants, fillette, fillettes, mineur, mineure, mineurs, mineures, petite fille, petites filles, petit garçon, petits garçons, gamine
  gamines, écolière, écolières, pédopornographie
  niño, niña, niños, niñas, menor de edad, menores de edad, menores, colegiala, colegialas, adolescente, chiquilla, infantil
`);

/** Law, medicine, protection, science: who says one of these in the sentence speaks about it. */
export const ABOUT = words(`
  abuse, abused, abuser, abusers, abusive, prevent, prevents, prevention, protect, protects, protected, protecting, protection, safeguarding
  law, laws, lawful, legal, illegal, unlawful, crime, crimes, criminal, convicted, conviction, charged, arrested, police, court, courts, guilty
  prosecutor, prosecuted, sentenced, jailed, prison, offence, offense, offences, offenses, felony, age of consent, possession
  possessing, offender, offenders, victim, victims, trafficking, exploitation, rapist, molestation, pedophile, pedophilia, paedophile, grooming
  study, studies, survey, statistics, percent, research, researchers, education, doctor, doctors, medical, clinic, patient, patients, therapy
  therapist, counselor, pediatrician, diagnosis, puberty, development, contraception, condom, condoms, birth control, pregnancy, pregnant, conceive, conceived
  conception, gave birth, was born, were born, bore, std, hygiene
  health, normal behavior, normal behaviour, is normal
  missbrauch, missbraucht, schutz, schützen, polizei, gericht, gesetz, gesetze, strafbar, straftat, verboten, verurteilt, opfer, täter, aufklärung
  studie, arzt, ärztin, verhütung, pubertät
  abus, protéger, loi, lois, illégal, interdit, tribunal, condamné, police, victime, victimes, étude, médecin, prévention
  abuso, abusos, proteger, protección, ley, leyes, ilegal, delito, tribunal, condenado, policía, víctima, víctimas, estudio, médico, prevención
`);

/** Who warns of what is only named. */
export const WARNING = words(`
  report, reported, reports, reporting, ban, banned, bans, policy, policies, filter, filters, filtering, block, blocks, blocked, parents
  parental, internet, online, access, exposure, exposed, exposing, against, not, no, never, without, cannot, can't, don't, must, should, shouldn't, stop
  avoid, forbid, forbidden, forbids, prohibit, prohibited, prohibits, addiction, harmful, inappropriate, refuse, won't, museum, painting, statue, art
  gegen, kein, keine, nicht, nie, ohne, eltern, melden, darf, dürfen, soll, sollen
  contre, pas, sans, jamais, parents, interdire, signaler
  contra, sin, no, nunca, padres, denunciar, prohibir
`);

/** An age under 18, in figures or in words. */
const NUMBERS =
  'one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen';
const ZAHLEN =
  'ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|dreizehn|vierzehn|fünfzehn|sechzehn|siebzehn';
const UNDER_18 = '(?:[1-9]|1[0-7])';
export const AGE = new RegExp(
  [
    `(?:${UNDER_18}|${NUMBERS})[ -]?(?:year|years|yr|yrs)[ -]olds?`,
    `${UNDER_18} ?(?:yo|y/o|y\\.o\\.)`,
    `(?:aged?|age of) (?:${UNDER_18}|${NUMBERS})`,
    `(?:${UNDER_18}|${NUMBERS}) years of age`,
    `(?:${UNDER_18}[ -]?|${ZAHLEN})jährige[rsnm]?`,
    `(?:${UNDER_18}|${ZAHLEN}) jahre alt`,
    `de ${UNDER_18} (?:ans|años)`,
  ]
    .map((form) => `(?<![\\p{L}\\p{N}.,])${form}(?![\\p{L}\\p{N}])`)
    .join('|'),
  'giu',
);

import type { CustomerField } from './intake.ts'

/** Names that are equally good, in lists separated by commas. */
type Names = readonly string[]

/**
 * Usual names of the columns of each field. Those of one list are equally good, and better than those
 * of the lists after it.
 */
export const NAMES: Readonly<Record<CustomerField, readonly Names[]>> = {
  edgeTagId: [
    ['edge tag id, edge tag user id'],
    ['external id, extern id, external customer id, external user id, externe id'],
    [
      'customer id, customer number, customer no, customer nr, customer key, crm id',
      'shopify customer id, square customer id, stripe customer id, Kunden-ID, Kundennummer',
      'Kundennr, Kunden-Nr., Kdnr, KundenID, ID client, identifiant client, numéro client',
      'numéro de client, n° client, ID cliente, ID del cliente, número de cliente',
      'código cliente, código de cliente, codice cliente, numero cliente, código do cliente',
      'número do cliente, klant-id, klantnummer, klantnr, ID klienta, numer klienta',
      'kund-id, kundnummer, kundnr, kunde-id, kundenummer, asiakasnumero, asiakas-id',
      'číslo zákazníka, ID zákazníka'
    ],
    ['user id, member id, membership id, subscriber id, subscriber key, mitgliedsnummer'],
    ['contact id, profile id, client id, client number, kontakt-id']
  ],
  email: [
    [
      'email, email address, email addr, email id, e-mail, e-mail address, E-Mail-Adresse',
      'Emailadresse, Mailadresse, adresse e-mail, adresse email, adresse mail, courriel',
      'adresse électronique, correo, correo electrónico, dirección de correo electrónico',
      'dirección de correo, dirección de email, indirizzo email, indirizzo e-mail',
      'posta elettronica, e-mailadres, endereço de email, endereço de e-mail',
      'correio eletrônico, correio electrónico, adres e-mail, adres email, adres mailowy',
      'poczta elektroniczna, e-postadress, epost, e-post, e-postadresse, mailadress',
      'sähköposti, sähköpostiosoite, e-mailová adresa, e-mail cím, adresă de email, e-posta'
    ],
    ['mail, login email'],
    ['hashed email, email sha256, sha256 email, email hashed']
  ],
  phone: [
    [
      'mobile, mobile phone, mobile phone number, mobile number, mobile no, mobile tel',
      'cell, cell phone, cell phone number, cell number, cellular, phone mobile, phone cell',
      'whatsapp, whatsapp number, sms number, sms phone number, Mobil, Mobiltelefon',
      'Mobilnummer, Mobilfunk, Mobilfunknummer, Mobilrufnummer, Handy, Handynummer',
      'Handy-Nr., Telefon mobil, Mobiltelefonnummer, portable, téléphone portable',
      'téléphone mobile, numéro de portable, tél portable, tél mobile, numéro de mobile',
      'móvil, teléfono móvil, celular, número de móvil, teléfono celular, número de celular',
      'cellulare, telefono cellulare, telefono mobile, numero di cellulare, telemóvel',
      'telefone celular, telefone móvel, mobiel, mobiele telefoon, mobiel nummer, gsm',
      'gsm-nummer, komórka, telefon komórkowy, numer komórkowy, mobilnummer',
      'mobiltelefonnummer, matkapuhelin, mobilní telefon'
    ],
    [
      'phone, phone number, phone no, phone nr, telephone, telephone number, telephone no',
      'tel, tel no, phone e164, full phone number, Telefon, Telefonnummer, Telefon-Nr.',
      'Telefonnr, Tel.-Nr., Rufnummer, téléphone, numéro de téléphone, no de téléphone',
      'n° de téléphone, tél, teléfono, número de teléfono, telefono, numero di telefono',
      'recapito telefonico, telefone, número de telefone, telefoon, telefoonnummer',
      'numer telefonu, nr telefonu, nr tel, telefonnummer, tlf, tlf nr, puhelin',
      'puhelinnumero, telefonní číslo'
    ],
    [
      'sms, home phone, home phone number, landline, landline number, phone home, Festnetz',
      'Festnetznummer, Telefon privat, téléphone fixe, fixe, teléfono fijo, telefono fisso',
      'telefone fixo, vaste telefoon, telefon stacjonarny, fasttelefon'
    ],
    ['hashed phone, hashed phone number, phone sha256, sha256 phone, phone hashed']
  ],
  firstName: [
    [
      'first name, fname, fn, f name, firstname, given name, given names, forename, Vorname',
      'Rufname, prénom, prénoms, primer nombre, nombre de pila, nome di battesimo',
      'primeiro nome, nome próprio, voornaam, voornamen, imię, imiona, förnamn',
      'tilltalsnamn, fornavn, etunimi, křestní jméno, keresztnév'
    ]
  ],
  lastName: [
    [
      'last name, lname, ln, l name, lastname, surname, family name, Nachname, Familienname',
      'Zuname, nom de famille, apellido, apellidos, primer apellido, cognome, sobrenome',
      'apelido, último nome, achternaam, familienaam, nazwisko, efternamn, efternavn',
      'etternavn, sukunimi, příjmení, vezetéknév, nume de familie'
    ]
  ],
  country: [
    [
      'country, country name, country iso, country iso code, iso country, iso country code',
      'country region, country of residence, country territory, Land, Ländername, Wohnland',
      'pays, pays de résidence, país, país de residencia, paese, nazione, stato nazione',
      'país de residência, maa, země, ország, țară, bostadsland, landnaam'
    ],
    ['Staat, kraj'],
    [
      'country code, country region code, country code iso, country abbreviation',
      'Ländercode, Länderkürzel, Länderkennzeichen, Landeskennzeichen, Landcode, Landescode',
      'code pays, código de país, código del país, código país, codice paese',
      'código do país, landkod, landekode, landskod, kod kraju, maakoodi'
    ]
  ],
  postalCode: [
    [
      'postal code, postal, postcode, post code, zip, zip code, zip postal code',
      'postal zip code, postal code zip, zip or postal code, postal zip, zip postcode, zip5',
      'pin code, eircode, PLZ, Postleitzahl, code postal, CP, código postal, cod postal',
      'codice postale, CAP, codice di avviamento postale, CEP, postcodes, kod pocztowy',
      'kod poczt, postnummer, postnr, postinumero, PSČ, poštovní směrovací číslo',
      'irányítószám'
    ]
  ],
  'purchase.currency': [
    ['purchase currency'],
    [
      'currency, currency code, order currency, Währung, devise, moneda, divisa, valuta',
      'moeda, waluta'
    ]
  ],
  'purchase.profit': [['purchase profit'], ['profit, total profit, Gewinn, bénéfice, winst']],
  'purchase.total7Days': [
    ['purchase total 7 days, total 7 days'],
    [
      'last 7 days total, total last 7 days, spend last 7 days, spent last 7 days',
      'revenue last 7 days, 7 day spend, 7 day revenue, Umsatz 7 Tage'
    ]
  ]
}

/** Names that mean a field only beside another one: `Name` is the last name where `Vorname` is too. */
export const COMPANIONS: readonly (readonly [
  name: string,
  field: CustomerField,
  beside: readonly string[]
])[] = [
  ['name', 'lastName', ['vorname']],
  ['nom', 'lastName', ['prenom']],
  ['naam', 'lastName', ['voornaam']],
  ['navn', 'lastName', ['fornavn']],
  ['namn', 'lastName', ['fornamn']],
  ['nome', 'firstName', ['cognome', 'sobrenome', 'apelido']],
  ['nombre', 'firstName', ['apellido', 'apellidos', 'primerapellido']],
  ['nombres', 'firstName', ['apellido', 'apellidos', 'primerapellido']],
  ['jmeno', 'firstName', ['prijmeni']]
]

/**
 * Words before a name that say whose it is. Those of one line are equally good, and better than those
 * of the lines after it: a customer's own address is rather where the bill goes than the parcel.
 */
export const OWNERS: readonly Names[] = [
  [
    'customer, client, contact, user, member, subscriber, person, personal, lead, account',
    'profile, buyer, shopper, guest, consumer, attendee, recipient, primary, main',
    'default, preferred, traits, properties, attributes, your, Kunde, Kunden, Kontakt',
    'Mitglied, cliente, klant, klient, kund, deelnemer'
  ],
  [
    'address, address 1, default address, customer address, mailing, mailing address',
    'home, home address, residential, private, privat, private Adresse, Adresse, adres'
  ],
  [
    'billing, billing address, bill to, invoice, invoice address, payer, from, Rechnung',
    'Rechnungs, Rechnungsadresse, facturation, adresse de facturation, facturación',
    'fatturazione, factuur, faktura'
  ],
  [
    'shipping, shipping address, ship to, delivery, delivery address, address 2, Liefer',
    'Lieferung, Lieferadresse, livraison, adresse de livraison, envío, spedizione',
    'verzend, bezorg, dostawa'
  ],
  ['work, business, office, geschäftlich, dienstlich, bureau, trabajo, lavoro'],
  ['secondary, alternate, alternative, additional, other, backup, weitere']
]

/** Those that also stand after a name; `Email Delivery` and `SMS Subscriber` are something else. */
export const OWNERS_AFTER: Names = [
  'primary, main, personal, private, privat, home, billing, shipping, work, business',
  'office, geschäftlich, dienstlich, secondary, alternate, alternative, other'
]

/**
 * Which columns help where the best one of a field is empty: by the places of their names in the lists
 * above, and by their owners up to this line; those of one owner always do. A country and a postal code
 * must be of one address, or they would be a place that there is not; an e-mail address or a phone
 * number is somebody's by itself, and that of the bill is the customer's.
 */
export const FALLBACK_RULES: Readonly<
  Partial<Record<CustomerField, { readonly names: readonly number[]; readonly owners: number }>>
> = {
  email: { names: [0, 1, 2], owners: 3 },
  phone: { names: [0, 1, 2, 3], owners: 3 },
  // Not `Staat` and `kraj`, which may be a part of a country.
  country: { names: [0, 2], owners: 0 },
  postalCode: { names: [0], owners: 0 }
}
